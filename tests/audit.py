"""Asks pip-audit about every package that is installed here, and says plainly if it could not be asked: `make audit`.

Status 0: all were checked and none has a known hole. 1: some have. 2: some, or all, could not be checked.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

CLEAN: Final = 0
HOLES: Final = 1
UNCHECKED: Final = 2
SECONDS: Final = 600.0
MOST: Final = 3
"""Of so many packages it is said why they could not be checked."""
_OURS: Final = "consignee"


def installed() -> str:
    """Return what is installed beside this package, as requirements."""
    line = [sys.executable, "-m", "pip", "freeze", "--exclude", _OURS, "--disable-pip-version-check"]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=SECONDS).stdout


def ask(command: Sequence[str], requirements: str) -> tuple[str, str]:
    """Return what pip-audit says of these requirements in JSON, and what it complains of; raises OSError, TimeoutExpired."""
    with tempfile.TemporaryDirectory() as directory:
        listed = Path(directory, "installed.txt")
        listed.write_text(requirements)
        options = ["--requirement", str(listed), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        line = [*command, *options, "--format", "json"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.stdout, done.stderr


def judge(said: str, complaint: str, *, expected: int) -> tuple[int, list[str]]:
    """Return the status and the lines for a person; that nothing was found counts only where all was looked up."""
    try:
        packages: list[Mapping[str, Any]] = list(json.loads(said)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return UNCHECKED, ["could not be checked: no advisory service answers", *complaint.splitlines()[-1:]]
    skipped = [one for one in packages if "skip_reason" in one]
    found = [_hole(one, hole) for one in packages for hole in one.get("vulns", ())]
    checked = len(packages) - len(skipped)
    if skipped or checked < max(expected, 1):
        return UNCHECKED, [
            *found,
            f"could not be checked: {max(expected - checked, len(skipped))} of {expected} packages",
            *map(_why, skipped),
        ]
    if found:
        return HOLES, found
    return CLEAN, [f"{checked} packages checked, none has a known hole"]


def _hole(package: Mapping[str, Any], hole: Mapping[str, Any]) -> str:
    mended = ", ".join(hole.get("fix_versions", ())) or "none"
    return f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def _why(package: Mapping[str, Any]) -> str:
    return f"  {package['name']}: {package['skip_reason']}"


def main(command: Sequence[str]) -> int:
    """Ask, print and return the status."""
    requirements = installed()
    try:
        said, complaint = ask(command, requirements)
    except (OSError, subprocess.TimeoutExpired) as error:
        said, complaint = "", f"{type(error).__name__}: {command[0]}"
    status, lines = judge(said, complaint, expected=len(requirements.split("\n")) - 1)
    print(*lines, sep="\n")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["pip-audit"]))
