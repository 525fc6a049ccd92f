"""Secrets that are known wherever they come to light: the values that the tests use, and how to find a part of one in a text.

Most are written so that each eight characters begin with `MARK`: no part of twelve lacks it, so that a text is searched quickly.
What a process makes at random (API keys, webhook secrets, signatures) is known by its shape.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

MARK: Final = "Cn7q"
PART: Final = 12
"""So many characters of a canary, as they are or encoded, are a leak."""
_PERIOD: Final = 8
_ENOUGH: Final = 16
"""Of so many bytes, each encoding in base64 has MARK in it, wherever its groups of three begin."""


def canary(name: str, *, periods: int = 5, safe: bool = False) -> str:
    """Return a secret of eight characters for each period; a `safe` one can stand in a URL or a header as it is."""
    noise = base64.b64encode(hashlib.sha512(name.encode()).digest()).decode()
    noise = noise[:6] + "+/" + noise[6:]
    text = "".join(MARK + noise[4 * number : 4 * number + 4] for number in range(periods))
    return text.replace("+", "-").replace("/", "_") if safe else text


S3_SECRET: Final = canary("S3 secret")
COMPATIBLE_SECRET: Final = canary("S3-compatible secret")
HMAC_SECRET: Final = canary("Google HMAC secret")
ACCESS_TOKEN: Final = canary("Google access token", safe=True)
UPLOAD_SESSION: Final = canary("upload session", safe=True)
AZURE_KEY: Final = canary("Azure account key", periods=11)
OSS_SECRET: Final = canary("OSS secret", periods=4)
API_KEY: Final = canary("API key", safe=True)
WEBHOOK_SECRET: Final = "whsec_" + canary("webhook secret", periods=4)
WEBHOOK_TOKEN: Final = canary("token in a webhook's URL", safe=True)
SEALING_KEY: Final = canary("sealing key", periods=4).encode()
PROXY_PASSWORD: Final = canary("password of a proxy", periods=4)
MEMORY_SECRET: Final = "memory-secret"

VALUES: Final[Mapping[str, str]] = {
    "S3 secret": S3_SECRET,
    "S3-compatible secret": COMPATIBLE_SECRET,
    "Google HMAC secret": HMAC_SECRET,
    "Google access token": ACCESS_TOKEN,
    "upload session": UPLOAD_SESSION,
    "Azure account key": AZURE_KEY,
    "OSS secret": OSS_SECRET,
    "API key": API_KEY,
    "webhook secret": WEBHOOK_SECRET.removeprefix("whsec_"),
    "token in a webhook's URL": WEBHOOK_TOKEN,
    "sealing key": SEALING_KEY.decode(),
    "password of a proxy": PROXY_PASSWORD,
}
"""The canaries whose values are fixed, by name. Private keys and peppers are learnt when they are made."""

SHAPES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "a created API key": ("csg_", re.compile(r"csg_[0-9a-f]{8}_[A-Za-z0-9_-]{12}")),
    "a webhook's secret": ("whsec_", re.compile(r"whsec_[A-Za-z0-9+/]{12}")),
    "a private key": ("PRIVATE KEY-----", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\S")),
    "a Google token": ("ya29.", re.compile(r"ya29\.[A-Za-z0-9._-]{12}")),
    "a signature in a URL": ("sig=", re.compile(r"[?&]sig=[A-Za-z0-9%+/]{12}")),
    "a signature of a request": ("ignature=", re.compile(r"(?i)[?&;, -]signature=[A-Za-z0-9%+/]{12}")),
}
"""What is a secret whatever its value: a string that is always in it, and its pattern."""

_VARIED: Final = 8
_marks: Final[list[str]] = []
_known: Final[dict[str, str]] = {}


def learn(name: str, value: str, *, marks: Iterator[str] | None = None) -> None:
    """Know another canary; one of its `marks` is in each of its parts."""
    _known[name] = value
    _marks.extend(mark for mark in marks or _pieces(value) if mark not in _marks)


def learn_last(name: str, value: str) -> None:
    """Know another canary in place of the last one of that name; one of few characters would be found by chance."""
    gone = set(_pieces(_known.pop(name, "")))
    _marks[:] = [mark for mark in _marks if mark not in gone]
    if len(set(value)) >= _VARIED:
        learn(name, value)


def learn_private_key(pem: str, number: int) -> None:
    """Know a private key by a line of its modulus and one of its exponent: what is around them is alike in many."""
    lines = pem.splitlines()
    for line in (6, 9):
        learn(f"private key {number}, line {line}", lines[line])


def write_sealing_key(path: Path) -> Path:
    """Make the file of the sealing key, for its owner alone; return its path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(SEALING_KEY) + b"\n")
    return path


def found(text: str) -> set[str]:
    """Return the names of the canaries of which at least a part is in the text."""
    names = {name for name, (sign, shape) in SHAPES.items() if sign in text and shape.search(text)}
    if any(map(text.__contains__, _marks)):  # for each line of a log: in C, and under no tracing
        names |= {name for name, value in _known.items() if any(part in text for part in _written(value))}
    return names


@cache
def _written(value: str) -> frozenset[str]:
    """Return each part as it is, and as it is often encoded."""
    return frozenset(_forms(value))


def _forms(value: str) -> Iterator[str]:
    for start in range(len(value) - PART + 1):
        part = value[start : start + PART]
        yield from (part, part.replace("+", " "), quote(part, safe=""), quote(part, safe="").lower())
        yield from (part.encode().hex(), part.encode().hex().upper())
    for start in range(len(value) - _ENOUGH + 1):
        yield from _in_base64(value[start : start + _ENOUGH].encode())


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield what is always in the base64 of anything that holds these bytes."""
    for skipped in range(3):
        whole = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
        yield from (encode(whole).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode))


def _pieces(value: str) -> Iterator[str]:
    """Yield strings of which at least one is in every part, plain, in a URL or in hexadecimal."""
    half = PART // 2
    for start in range(0, len(value) - half + 1, half):
        piece = value[start : start + half]
        yield from (piece, piece.encode().hex(), piece.encode().hex().upper())


def _marks_of_all() -> Iterator[str]:
    mark = MARK.encode()
    yield from (MARK, MARK.lower(), mark.hex(), mark.hex().upper())
    yield base64.b64encode(mark).decode()[:5]
    yield base64.b64encode(b"\0" + mark).decode()[2:6]
    yield base64.b64encode(b"\0\0" + mark).decode()[3:8]


for _name, _value in VALUES.items():
    learn(_name, _value, marks=_marks_of_all())
learn("secret of the storage in memory", MEMORY_SECRET)
