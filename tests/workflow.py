"""A GitHub Actions workflow on this machine: its steps in bash, one after the other, as the runner starts them.

Known are ``run``, ``uses`` of an action in a folder, ``with``, ``env``, ``id`` and expressions that name a value.
Anything else is an error, so that nothing is passed over in silence but the actions named in ``PASSED_OVER``.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSED_OVER = ("actions/checkout@", "actions/setup-python@")
"""They make the workspace and a Python: both are there."""

_KNOWN = {"name", "id", "run", "shell", "env", "uses", "with"}
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


class StepFailed(Exception):
    """A step ended with another exit code than 0."""


@dataclass
class Job:
    """A job in a workspace.

    Attributes:
        workspace: The folder that steps start in.
        env: The environment of every step.
        values: What expressions may name: ``inputs.a``, ``steps.check.outputs.verdict``.
        said: What the steps wrote, to standard output and error together.
    """

    workspace: Path
    env: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    said: str = ""

    def run(self, steps: list[dict[str, Any]]) -> None:
        """Run the steps; the first that fails ends the job."""
        for step in steps:
            assert step.keys() <= _KNOWN, step.keys() - _KNOWN
            if "run" in step:
                self._run(step)
            elif not step["uses"].startswith(PASSED_OVER):
                self._use(step)

    def filled(self, text: str) -> str:
        """A text with its expressions replaced by their values."""
        return _EXPRESSION.sub(lambda found: self.values[found[1]], text)

    def _run(self, step: dict[str, Any]) -> None:
        output = self.workspace / ".output"
        output.write_text("")
        own = {name: self.filled(str(value)) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.filled(step["run"])],
            cwd=self.workspace,
            env={**self.env, **own, "GITHUB_OUTPUT": str(output)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said += done.stdout
        lines = dict(line.split("=", 1) for line in output.read_text().splitlines())
        self.values |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in lines.items()}
        if done.returncode:
            raise StepFailed(done.stdout)

    def _use(self, step: dict[str, Any]) -> None:
        folder = self.workspace / step["uses"]
        action = loaded(folder / "action.yml")
        given = {name: self.filled(str(value)) for name, value in step.get("with", {}).items()}
        assert given.keys() <= action["inputs"].keys(), given.keys() - action["inputs"].keys()
        inputs = {}
        for name, about in action["inputs"].items():
            assert name in given or "default" in about, f"input '{name}' is missing"
            inputs[f"inputs.{name}"] = given.get(name, about.get("default"))
        assert action["runs"]["using"] == "composite"
        assert all(inner["shell"] == "bash" for inner in action["runs"]["steps"])
        inside = Job(self.workspace, self.env, {**inputs, "github.action_path": os.fspath(folder)})
        try:
            inside.run(action["runs"]["steps"])
        finally:
            self.said += inside.said
            for name, about in action["outputs"].items():
                value = _EXPRESSION.sub(lambda found: inside.values.get(found[1], ""), about["value"])
                self.values[f"steps.{step.get('id')}.outputs.{name}"] = value


def loaded(path: Path) -> Any:
    """A YAML file."""
    import yaml  # a test dependency; whoever comes here has skipped without it

    return yaml.safe_load(path.read_text(encoding="utf-8"))
