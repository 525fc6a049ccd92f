"""Path prefixes: what a customer writes, such as `exports/%COLLECTION_NAME%/%DATE%`, and the object keys made from it."""

import re
from collections.abc import Mapping
from typing import Final

TOKENS: Final = ("COLLECTION_ID", "COLLECTION_NAME", "RESULT_SET_ID", "DATE")
KEY_BYTES: Final = 1024
"""The longest object key, in bytes of UTF-8: the limit of Amazon S3, Google Cloud Storage and Azure alike."""
PREFIX_BYTES: Final = 768
"""The longest prefix, as written and filled with sample values, in bytes of UTF-8: leaves room for a file name."""
SAMPLE: Final = {
    "COLLECTION_ID": "00000000",
    "COLLECTION_NAME": "sample-collection",
    "RESULT_SET_ID": "1",
    "DATE": "2000_01_01",
}

_TOKEN = re.compile(r"%([A-Za-z][A-Za-z0-9_]*)%")
_LIKE_A_TOKEN = re.compile(r"%([A-Za-z0-9_-]*[A-Za-z][A-Za-z0-9_-]*)%")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


def problems(prefix: str) -> list[str]:
    """Return what is wrong with a prefix as written; empty if it can be saved."""
    found = [
        f"unknown token %{name}%: use " + ", ".join(f"%{token}%" for token in TOKENS)
        for name in _LIKE_A_TOKEN.findall(prefix)
        if name not in TOKENS
    ]
    if "\\" in prefix:
        found.append("must not contain a backslash: separate folders with /")
    if any(segment in (".", "..") for segment in prefix.split("/")):
        found.append("must not contain . or .. as a folder")
    if len(prefix.encode()) > PREFIX_BYTES or (not found and len(render(prefix, SAMPLE).encode()) > PREFIX_BYTES):
        found.append(f"must not be longer than {PREFIX_BYTES} bytes, also with its tokens filled in")
    return found


def render(prefix: str, values: Mapping[str, str]) -> str:
    """Return the prefix with its tokens filled in: no leading slash, and no empty, `.` or `..` segment."""
    filled = _TOKEN.sub(lambda match: _safe(values[match[1]]), prefix)
    segments = (_visible(segment) for segment in filled.split("/") if segment)
    return "/".join(segments)


def fixed_part(prefix: str) -> str:
    """Return how every key under the prefix begins: up to its first token, or with a slash at its end if it has none."""
    token = _TOKEN.search(prefix)
    before = prefix[: token.start()] if token else prefix
    folder = "/".join(segment for segment in before.split("/") if segment)
    return f"{folder}/" if folder and (not token or before.endswith("/")) else folder


def object_key(prefix: str, values: Mapping[str, str], file_name: str) -> str:
    """Return the key of a file under a prefix; raises ValueError if it is longer than an object key may be."""
    folder = render(prefix, values)
    key = f"{folder}/{file_name}" if folder else file_name
    if len(key.encode()) > KEY_BYTES:
        raise ValueError(f"the object key is longer than {KEY_BYTES} bytes")
    return key


def _safe(value: str) -> str:
    return _UNSAFE.sub("_", value)


def _visible(segment: str) -> str:
    return "_" * len(segment) if segment in (".", "..") else segment
