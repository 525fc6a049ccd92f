"""The calls by which the store and the spool make things durable, found in their code; and a package without one of them."""

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import consignee

PACKAGE = Path(consignee.__file__).parent
FOLDERS = ("store", "delivery")
CALLS = {"fsync", "fdatasync", "sync", "sync_data", "fsync_directory"}


@dataclass(frozen=True)
class Sync:
    """One call: its module, the function that it is in, and which of that function's it is, from 0."""

    module: str
    function: str
    number: int
    call: ast.Call

    @property
    def name(self) -> str:
        """What it is called in the tests."""
        return f"{self.module}:{self.function}:{self.number}"


def syncs() -> Iterator[Sync]:
    """Yield all of them."""
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).glob("*.py")):
            tree = ast.parse(path.read_text())
            for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _called(node) in CALLS]
                for number, call in enumerate(calls):
                    yield Sync(f"{folder}/{path.name}", function.name, number, call)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def without(sync: Sync, place: Path) -> Path:
    """Return a directory with a copy of the package that does not make this call."""
    copy = place / "consignee"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    lines = (copy / sync.module).read_text().splitlines(keepends=True)
    line, call = lines[sync.call.lineno - 1], ast.unparse(sync.call)
    assert line.count(call) == 1, "one call to a line"
    lines[sync.call.lineno - 1] = line.replace(call, "None")
    (copy / sync.module).write_text("".join(lines))
    return place
