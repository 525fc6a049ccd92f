"""consignee store: copies a store to another one, between directories and databases, while no service runs on either."""

import argparse
import asyncio
from typing import Any

from consignee.commands.output import say, table
from consignee.commands.progress import size
from consignee.copying.opening import Copied, copy_store, end
from consignee.errors import SettingsError
from consignee.settings import load_settings

_KEY = "The sealing key goes with neither: the service needs the same one as before."
_OLD = "What it was copied from is unchanged: start nothing on it any more."


def run(arguments: argparse.Namespace) -> int:
    """Copy, and say what is there now; status 1 if files are missing."""
    settings = load_settings(arguments.config)
    if arguments.source == arguments.target:
        raise SettingsError("--from and --to must be two stores: one that is not named is the one of the settings")
    ends = end(arguments.source, settings), end(arguments.target, settings)
    copied = asyncio.run(copy_store(*ends, files=not arguments.without_files))
    say(arguments, told(copied), _lines(copied))
    return int(bool(copied.files is not None and copied.files.missing))


def told(copied: Copied) -> dict[str, Any]:
    """Return what programs are told of a copy."""
    documents = {"documents": copied.documents, "written": copied.written}
    if (files := copied.files) is None:
        return {"from": copied.source, "to": copied.target, **documents, "files": None}
    kept = {"count": files.count, "bytes": files.bytes, "missing": files.missing}
    return {"from": copied.source, "to": copied.target, **documents, "files": kept}


def _lines(copied: Copied) -> list[str]:
    counted = sum(copied.documents.values())
    first = (
        f"{copied.source} -> {copied.target}: {counted} documents are the same in both, {copied.written} of them new"
    )
    lines = [first, *table(("kind", "documents"), copied.documents.items())]
    if (files := copied.files) is None:
        lines.append("no files of result sets were copied: both have them in the same place, or they were left out")
    else:
        lines.append(f"{files.count} files of result sets, {size(files.bytes)}")
        if files.missing:
            lines.append(
                f"not all files: those of {', '.join(files.missing)} are gone, or not as they were handed over"
            )
    return [*lines, _KEY, _OLD]
