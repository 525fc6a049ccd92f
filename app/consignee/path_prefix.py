"""Path prefixes: what a customer writes, such as `exports/%COLLECTION_NAME%/%DATE%`, and the object keys made from it.

A prefix that can be saved always leaves room for a file name of 255 bytes. What could take that room is a long collection
name: it is cut where a character ends, and the end replaced by `~` and 8 hex digits of the whole name's SHA-256, so that
two collections whose names begin alike don't share a folder, and that every attempt makes the same key.
"""

import hashlib
import re
import unicodedata
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

_NAME: Final = "COLLECTION_NAME"
_NAME_BYTES: Final = len(SAMPLE[_NAME].encode())
_LONGEST: Final = {**SAMPLE, "RESULT_SET_ID": "9" * 15}
_TOKEN = re.compile(r"%([A-Za-z][A-Za-z0-9_]*)%")
_LIKE_A_TOKEN = re.compile(r"%([A-Za-z0-9_-]*[A-Za-z][A-Za-z0-9_-]*)%")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def problems(prefix: str) -> list[str]:
    """Return what is wrong with a prefix as written; empty if it can be saved."""
    found = [
        f"unknown token %{name}%: use " + ", ".join(f"%{token}%" for token in TOKENS)
        for name in _LIKE_A_TOKEN.findall(prefix)
        if name not in TOKENS
    ]
    if "\\" in prefix:
        found.append("must not contain a backslash: separate folders with /")
    if any(_is_way_up(segment) for segment in prefix.split("/")):
        found.append("must not contain . or .. as a folder")
    if len(prefix.encode()) > PREFIX_BYTES or (not found and _length(prefix, _LONGEST) > PREFIX_BYTES):
        found.append(f"must not be longer than {PREFIX_BYTES} bytes, also with its tokens filled in")
    return found


def render(prefix: str, values: Mapping[str, str]) -> str:
    """Return the prefix with its tokens filled in: no leading slash, no empty, `.` or `..` segment, none added by a value."""
    used = _TOKEN.findall(prefix)
    safe = {token: _safe(values[token]) for token in used}
    if times := used.count(_NAME):
        room = PREFIX_BYTES - _length(prefix, {**safe, _NAME: "_"}) + times
        safe[_NAME] = _short(values[_NAME], max(room // times, _NAME_BYTES))
    return _fill(prefix, safe)


def fixed_part(prefix: str) -> str:
    """Return how every key under the prefix begins: up to its first token, or with a slash at its end if it has none."""
    token = _TOKEN.search(prefix)
    before = prefix[: token.start()] if token else prefix
    folder = "/".join(segment for segment in before.split("/") if segment)
    return f"{folder}/" if folder and (not token or before.endswith("/")) else folder


def object_key(prefix: str, values: Mapping[str, str], file_name: str) -> str:
    """Return the key of a file under a prefix; raises ValueError if it is longer than an object key may be."""
    return key_in(render(prefix, values), file_name)


def key_in(folder: str, file_name: str) -> str:
    """Return the key of a file under a prefix that `render` returned; raises ValueError as `object_key` does."""
    key = f"{folder}/{file_name}" if folder else file_name
    if len(key.encode()) > KEY_BYTES:
        raise ValueError(f"the object key is longer than {KEY_BYTES} bytes")
    return key


def _fill(prefix: str, safe: Mapping[str, str]) -> str:
    filled = _TOKEN.sub(lambda match: safe[match[1]], prefix)
    return "/".join("_" * len(one) if _is_way_up(one) else one for one in filled.split("/") if one)


def _length(prefix: str, safe: Mapping[str, str]) -> int:
    return len(_fill(prefix, safe).encode())


def _safe(value: str) -> str:
    """Never empty and never dots alone, so that it can't complete a `..` with what stands beside it."""
    safe = "".join("_" if _UNSAFE.search(_normalized(character)) else character for character in value)
    return safe if _normalized(safe).strip(".") else "_" * max(len(safe), 1)


def _short(name: str, room: int) -> str:
    safe = _safe(name)
    if len(safe.encode()) <= room:
        return safe
    end = "~" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return safe.encode()[: room - len(end)].decode(errors="ignore") + end


def _is_way_up(segment: str) -> bool:
    return _normalized(segment) in (".", "..")


def _normalized(text: str) -> str:
    """A customer's system may normalize names when it reads the bucket; then U+FF0F is a slash, and U+2025 is two dots."""
    return unicodedata.normalize("NFKC", text)
