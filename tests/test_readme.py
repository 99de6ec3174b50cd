"""What the README shows runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow import Job

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture
def here(tmp_path):
    """A folder with the models that the README names, and the command on the path."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "onnx-prelu").symlink_to(ROOT)
    (tmp_path / "net.onnx").write_bytes((ROOT / "models" / "digits_prelu_matmul.onnx").read_bytes())
    return tmp_path


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python_blocks_run(code, here):
    result = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "True" in result.stdout or "Relu" in result.stdout


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "bash" and "venv" not in code])
def test_ci_blocks_run(code, here):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-ec", code], cwd=here, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    written = re.findall(r"rewrite \S+ (\S+)", code)
    assert written
    assert all((here / name).exists() for name in written)


@pytest.mark.parametrize("workflow", [code for language, code in BLOCKS if language == "yaml"])
def test_workflows_run(workflow, here):
    """Step by step, as they stand there, but for the actions that make the workspace and a Python."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed, which reads workflows")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (work,) = yaml.safe_load(workflow)["jobs"].values()
    job = Job(here, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)})
    job.run(work["steps"])
    assert job.said.splitlines()[-1] == "relu.onnx passed"
    assert (here / "check.md").exists()


def test_the_first_two_commands_set_up_and_run():
    """They are run on a bare machine by CI; here, that they are there, in this order, and name what exists."""
    first, second = (code.strip() for language, code in BLOCKS if language == "bash" and "venv" in code)
    assert "[cpu]" in first
    assert (ROOT / re.search(r"models/\S+", first)[0]).exists()
    assert second.endswith("-m pytest")
