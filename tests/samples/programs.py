"""The sample clients, each in its language: what it needs, and how it is run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .serving import environment

HERE = Path(__file__).parent
SECONDS = 120.0
_OFFLINE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH")
_NPM_INSTALL = ("install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")


@dataclass(frozen=True)
class Program:
    """A client: the programs that must be installed for it, and the command that it is started with."""

    needs: Sequence[str]
    command: Sequence[str]

    def output(self, bodies: str, variables: Mapping[str, str]) -> str:
        """Run it with `form` or `json` bodies and return what it prints; skips if what it needs is absent."""
        self._require()
        ended = subprocess.run(
            [*self.command, bodies], env={**environment(), **variables}, capture_output=True, timeout=SECONDS, cwd=HERE
        )
        assert (ended.returncode, ended.stderr.decode()) == (0, "")
        return ended.stdout.decode()

    def _require(self) -> None:
        for name in self.needs:
            if shutil.which(name) is None:
                pytest.skip(f"{name} is not installed")
        if "npm" in self.needs:
            _require_packages()


PROGRAMS = {
    "curl": Program(("bash", "curl", "sed"), ("bash", "curl.sh")),
    "node": Program(("node", "npm"), ("node", "node.mjs")),
    "python": Program((), (sys.executable, "python.py")),
    "php": Program(("php",), ("php", "php.php")),
}


def _require_packages() -> None:
    """Install what package.json names, beside it, unless that is there already."""
    if _npm("ls").returncode == 0:
        return
    installed = _npm(*_NPM_INSTALL)
    said = installed.stderr.decode()
    if installed.returncode and _OFFLINE.search(said):
        pytest.skip("npm can't reach its registry to install axios")
    assert installed.returncode == 0, said


def _npm(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["npm", *arguments], capture_output=True, timeout=SECONDS, cwd=HERE, env=os.environ)


def answers(output: str) -> dict[str, dict[str, Any]]:
    """Return the lines that a client printed, in order, by the name of the call."""
    lines = [json.loads(line) for line in output.splitlines()]
    return {line.pop("call"): line for line in lines}
