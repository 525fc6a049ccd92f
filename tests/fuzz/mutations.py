"""What is done to good requests: a few changes to the bytes of each, several on one connection, cut anywhere in time."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from hypothesis import strategies as st

from .corpus import BOUNDARY, TAIL

Mutation = Callable[[bytes, int, int], bytes]
"""Takes a request and two numbers of any size, which say where and what."""

_TOKENS: Final = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"=", b"&", b"%", b"%00", b"%ff"),
    *(
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\xf0\x9f\x92\xa9",
        "ä\u202e".encode(),
        b'"',
        b"\\",
        b"'",
        b"\\u0000",
    ),
    *(b"[" * 300, b"{" * 300, b'{"a":' * 300, b"x" * 9000, b"a&" * 1100, b"\r\n " * 50),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"transfer-encoding:\x0bchunked\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Host: b\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"X-API-Key: other\r\n", b" folded\r\n"),
    *(
        b"Content-Type: multipart/form-data\r\n",
        b"Content-Encoding: br\r\n",
        b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
    ),
    *(
        f"--{BOUNDARY}".encode(),
        f"--{BOUNDARY}--".encode(),
        f"\r\n--{BOUNDARY}\r\n".encode(),
        b"0\r\n\r\n",
        b"ffffffff\r\n",
    ),
    *(b'filename="../../x"', b"filename*=utf-8''%00", b"name=name=", b"null", b"NaN", b"-0", b"1e400", b"true", b"[]"),
]
_NUMBERS: Final = [b"0", b"-1", b"1", b"9" * 10, b"9" * 30, b"9" * 5000, b"1e9", b"0x10", "٣".encode(), b"00000001"]
_METHODS: Final = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS", b"CONNECT", b"get", b"G\x00T"]


def flip(data: bytes, where: int, what: int) -> bytes:
    """One bit."""
    place = where % len(data)
    return data[:place] + bytes([data[place] ^ (1 << what % 8)]) + data[place + 1 :]


def truncate(data: bytes, where: int, what: int) -> bytes:
    """Nothing from somewhere on."""
    return data[: where % len(data)]


def cut_out(data: bytes, where: int, what: int) -> bytes:
    """A few bytes less."""
    place = where % len(data)
    return data[:place] + data[place + 1 + what % 40 :]


def repeat(data: bytes, where: int, what: int) -> bytes:
    """A few bytes twice."""
    place = where % len(data)
    return data[: place + 1 + what % 80] + data[place:]


def insert(data: bytes, where: int, what: int) -> bytes:
    """Something that means something, where it does not belong."""
    place = where % len(data)
    return data[:place] + _TOKENS[what % len(_TOKENS)] + data[place:]


def add_line(data: bytes, where: int, what: int) -> bytes:
    """Something that means something, at the beginning of a line."""
    starts = [match.end() for match in re.finditer(rb"\r\n", data)]
    return insert(data, starts[where % len(starts)] if starts else 0, what)


def repeat_line(data: bytes, where: int, what: int) -> bytes:
    """A line twice."""
    lines = data.split(b"\r\n")
    return b"\r\n".join([*lines[: where % len(lines) + 1], *lines[where % len(lines) :]])


def renumber(data: bytes, where: int, what: int) -> bytes:
    """Another number in place of one."""
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return data
    match = found[where % len(found)]
    return data[: match.start()] + _NUMBERS[what % len(_NUMBERS)] + data[match.end() :]


def rename(data: bytes, where: int, what: int) -> bytes:
    """Another method."""
    return _METHODS[what % len(_METHODS)] + data[len(data.split(b" ", 1)[0]) :]


def blank(data: bytes, where: int, what: int) -> bytes:
    """A run of one byte over what was there."""
    place = where % len(data)
    length = what % 50
    return data[:place] + bytes([what % 256]) * length + data[place + length :]


MUTATIONS: Final[Sequence[Mutation]] = (
    *(flip, truncate, cut_out, repeat, insert, insert, add_line, repeat_line, renumber, renumber, rename, blank),
)


Part = Callable[[bytes], tuple[bytes, bytes, bytes]]
"""Returns what is to be changed of a request, with what is before and behind it."""


def whole(request: bytes) -> tuple[bytes, bytes, bytes]:
    """Anything: most of it gets no further than the parser of heads."""
    return b"", request, b""


def body(request: bytes) -> tuple[bytes, bytes, bytes]:
    """The body, whose length is then made good: it gets as far as what parses bodies, and further."""
    head, end, rest = request.partition(b"\r\n\r\n")
    return head + end, rest, b""


def target(request: bytes) -> tuple[bytes, bytes, bytes]:
    """Path and query, which are then escaped."""
    method, space, rest = request.partition(b" ")
    path, end, rest = rest.partition(b" ")
    return method + space, path, end + rest


_PARTS: Final[Sequence[Part]] = (whole, body, body, target)


@dataclass(frozen=True)
class Connection:
    """What one client sends: `pieces` with short pauses between them. `requests` is how many it meant to send."""

    pieces: tuple[bytes, ...]
    requests: int


def connections(requests: Sequence[bytes]) -> st.SearchStrategy[Connection]:
    """Return what clients may do who have these requests."""
    numbers = st.integers(0, 2**16)
    changes = st.lists(st.tuples(st.sampled_from(MUTATIONS), numbers, numbers), max_size=3)
    changed = st.builds(_changed, st.sampled_from(requests), st.sampled_from(_PARTS), changes)
    return st.builds(_connection, st.lists(changed, min_size=1, max_size=4), st.lists(numbers, max_size=3))


def _changed(request: bytes, part: Part, changes: Sequence[tuple[Mutation, int, int]]) -> bytes:
    before, changing, after = part(request)
    for mutation, where, what in changes:
        if changing:
            changing = mutation(changing, where, what)
    if part is whole:
        return changing
    if part is target:
        return before + quote(changing, safe="/?&=%:+,.").encode() + after
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(changing), before) + changing


def _connection(requests: Sequence[bytes], cuts: Sequence[int]) -> Connection:
    data = b"".join(requests) + TAIL
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    pieces = (data[start:end] for start, end in itertools.pairwise(places))
    return Connection(tuple(piece for piece in pieces if piece), len(requests))
