"""The files that are given to the command: checked before anything is sent."""

from collections.abc import Iterable
from pathlib import Path

from consignee.client import Unsuitable
from consignee.client.uploads import size_of
from consignee.delivery.file_names import Names
from consignee.errors import InvalidRequest


def packed(paths: Iterable[Path]) -> tuple[dict[str, Path], int]:
    """Return the files by name, and their bytes; raises Unsuitable for one that is none, or its name, and OSError."""
    names, found, total = Names(), dict[str, Path](), 0
    for path in paths:
        total += size_of(path)
        with path.open("rb"):
            found[path.name] = path
        try:
            names.add(path.name)
        except InvalidRequest as error:
            raise Unsuitable("; ".join(error.errors["files"])) from None
    return found, total
