"""An environment in which only what consignee cannot do without is installed, made of links to what is installed here."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

APP: Final = Path(__file__).parent.parent / "app"
_PROGRAM: Final = "import sys; sys.path[:0] = sys.argv[1:3]; del sys.argv[1:3]; {}"
COMMAND: Final = "from consignee.cli import main; sys.exit(main(sys.argv[1:]))"


def core(*others: str) -> set[str]:
    """Return the names of the packages that an installation without extras brings, and one of these others with theirs."""
    found: set[str] = set()
    wanted = {"consignee", *others}
    while wanted:
        name = wanted.pop()
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            required = Requirement(text)
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                wanted |= {re.sub(r"[-_.]+", "-", required.name).lower()} - found
    return found - {"consignee"}


def make(directory: Path, *others: str) -> Path:
    """Link the packages into the directory, and return it."""
    directory.mkdir()
    for name in core(*others):
        for file in importlib.metadata.files(name) or ():
            link = directory / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(
                    Path(str(file.locate())).parents[len(file.parts) - 2] if len(file.parts) > 1 else file.locate()
                )
    return directory


def command(place: Path, *arguments: str, program: str = COMMAND) -> list[str]:
    """Return what runs the command, or another program, there; nothing that is installed here is seen by it."""
    return [sys.executable, "-S", "-c", _PROGRAM.format(program), str(APP), str(place), *arguments]


def run(place: Path, *arguments: str, program: str = COMMAND) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    told = command(place, *arguments, program=program)
    return subprocess.run(told, capture_output=True, text=True, check=False, timeout=60)
