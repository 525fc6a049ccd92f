"""Writes the OpenAPI document to where a service that runs from this folder reads it: `python -m consignee.web.openapi`."""

import json
from pathlib import Path

from consignee.providers import discover
from consignee.web.openapi import document
from consignee.web.reference import DOCUMENT


def text() -> str:
    """Return the document of the built-in types as it is served."""
    return json.dumps(document(discover().values()), ensure_ascii=False, indent=1) + "\n"


def write(target: Path) -> None:
    """Write it to that file; raises OSError."""
    target.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).with_name(DOCUMENT))
