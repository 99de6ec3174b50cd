"""What docs/ci.md shows runs as it stands there, and says of the action what the action says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from onnx_prelu import manifest
from tests.workflow import loaded

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S))


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "net.onnx").write_bytes((ROOT / "models" / "digits_prelu_matmul.onnx").read_bytes())
    return tmp_path


def run(workspace, *command):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifest_is_checked(workspace):
    (workspace / "pairs.toml").write_text(BLOCKS["toml"])
    run(workspace, "bash", "-ec", BLOCKS["bash"])
    report = json.loads((workspace / "verdicts.json").read_text())
    assert [(entry["name"], entry["exit_code"]) for entry in report["entries"]] == [("gemm", 0), ("matmul", 0)]
    assert report["entries"][1]["check"][0]["sizes"] == {"image": [4, 1, 8, 8]}


def test_the_test_passes(workspace):
    (workspace / "test_it.py").write_text(BLOCKS["python"])
    run(workspace, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")


def test_a_pair_may_say_what_the_page_lists():
    listed = " ".join(PAGE.split("a pair may say")[1].split("which mean")[0].split())
    assert re.findall(r"`(\w+)`", listed) == list(manifest.OPTIONS)


def test_inputs_and_outputs_are_those_of_the_action():
    pytest.importorskip("yaml", reason="PyYAML is not installed, which reads the action")
    action = loaded(ROOT / "action.yml")
    rows = re.findall(
        r"^\| `([\w-]+)` \|(?: (?:`(\w+)`)? ?\|)?", PAGE.split("## The action")[1].split("## Many")[0], re.M
    )
    assert [name for name, _ in rows] == [*action["inputs"], *action["outputs"]]
    assert {name: default for name, default in rows if default} == {
        name: about["default"] for name, about in action["inputs"].items() if about.get("default")
    }
