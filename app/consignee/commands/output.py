"""What a command says: a table or lines for people, or JSON for programs, and what went wrong."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from unicodedata import category, combining, east_asian_width

from consignee.errors import ConsigneeError, VerificationFailed


def say(arguments: Namespace, document: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print the lines, or with --json the document as one line; what is printed steers no terminal."""
    for line in [json.dumps(document)] if arguments.json else lines:
        print(printable(line), flush=True)


def printable(text: str) -> str:
    """Return the text without what would steer a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or category(one) == "Zs" else "\N{REPLACEMENT CHARACTER}" for one in text)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table, its columns as wide as they must be."""
    cells = [[*heads], *([printable(_text(cell)) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_filled, row, widths)).rstrip() for row in cells]


def _width(text: str) -> int:
    """In cells of a terminal: most of what is written in East Asia takes two, and an accent of its own takes none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def members(found: Mapping[str, object]) -> list[str]:
    """Return a line for each member, the values below each other; what is empty is left out."""
    shown = {name: _text(value) for name, value in found.items() if value not in (None, "", [], ())}
    width = max(map(len, shown), default=0)
    return [f"{name:{width}}  {printable(text)}" for name, text in shown.items()]


def steps(connectivity: Mapping[str, Any]) -> list[str]:
    """Return the lines of the report of a connectivity test."""
    lines = []
    for step in connectivity["steps"]:
        lines.append(f"{step['step']:8} {'ok' if step['ok'] else step['code']} ({step['ms']:g} ms)")
        told = {"provider": "provider_code", "request": "provider_request_id", "hint": "hint"}
        lines += [f"         {label}: {step[name]}" for label, name in told.items() if step[name]]
    if connectivity["left_behind"]:
        lines.append(f"left behind, to be removed: {connectivity['left_behind']}")
    return lines


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


def complain(error: ConsigneeError | OSError, *, as_json: bool) -> int:
    """Say what went wrong, as the service would; return 1 if a connectivity test did, otherwise 2."""
    failed, errors, told = _connectivity(error), _errors(error), _told(error)
    if as_json:
        info = {"success": False, "code": getattr(error, "code", "invalid_request"), "message": told}
        report = {"connectivity_problem": True, "connectivity": failed} if failed else {}
        print(json.dumps({"request_info": info, **({"errors": errors} if errors else {}), **report}), flush=True)
        return 1 if failed else 2
    wrong = [f"{field}: {', '.join(problems)}" for field, problems in errors.items()]
    for line in [f"consignee: {told}", *wrong, *(steps(failed) if failed else [])]:
        print(printable(line), file=sys.stderr)
    return 1 if failed else 2


def _told(error: ConsigneeError | OSError) -> str:
    if isinstance(error, ConsigneeError):
        return str(error)
    return f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": ")


def _errors(error: Exception) -> Mapping[str, Sequence[str]]:
    """As InvalidRequest has them, and a client's ApiError, which not every command loads."""
    found: Mapping[str, Sequence[str]] = getattr(error, "errors", {})
    return found


def _connectivity(error: Exception) -> Mapping[str, Any] | None:
    if isinstance(error, VerificationFailed):
        return error.report.to_json()
    found = getattr(error, "connectivity", None)
    return found.to_json() if found is not None else None
