"""What is wrong with a request's head, strictly: two readers of one request must never see two different ones.

aiohttp's parser refuses most of it by itself: two lengths, a length and chunks, bare line ends, folded lines, odd chunk sizes.
Here is what it lets through (RFC 9112, sections 3.2 and 6.1).
"""

import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.hdrs import CONTENT_LENGTH, HOST, TRANSFER_ENCODING
from aiohttp.http_parser import RawRequestMessage
from yarl import URL

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{0,5})?")
_LONGEST_LENGTH: Final = 15
"""Digits of a Content-Length: a petabyte is no request."""
_BETWEEN: Final = len(": \r\n")


def problem(message: RawRequestMessage, *, most_bytes: int | None) -> str | None:
    """Return what is wrong with a head, in one sentence that quotes nothing of it, or None.

    No `most_bytes`: it is known to be small enough.
    """
    if message.version not in (HttpVersion10, HttpVersion11):
        return "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    if most_bytes is not None and _size(message) > most_bytes:
        return f"The request's line and headers are larger than {most_bytes} bytes."
    return _wrong_host(message) or _wrong_length(message)


def _size(message: RawRequestMessage) -> int:
    lines = len(message.method) + len(message.path) + len("  HTTP/1.1\r\n\r\n")
    return lines + sum(len(name) + len(value) + _BETWEEN for name, value in message.raw_headers)


def _wrong_host(message: RawRequestMessage) -> str | None:
    host = message.headers.get(HOST)
    if host is not None and not _HOST.fullmatch(host):
        return "The Host header is not a host."
    if message.method == "CONNECT" or "#" in message.path:
        return "The request's target is not a path."
    if message.url.absolute and not _same(message.url, message.path, host):
        return "The request's target is at another host."
    return None


def _same(url: URL, target: str, host: str | None) -> bool:
    """Whether an absolute target is at the host that the header names: nothing but a path follows the very same text."""
    start, found, rest = target.partition("://")
    return bool(found) and start.lower() in ("http", "https") and url.raw_user is None and _names(rest, host)


def _names(rest: str, host: str | None) -> bool:
    return host is None or re.split("[/?]", rest, maxsplit=1)[0].lower() == host.lower()


def _wrong_length(message: RawRequestMessage) -> str | None:
    coding = message.headers.get(TRANSFER_ENCODING)
    if coding is not None and (coding.lower() != "chunked" or message.version == HttpVersion10):
        return "The only Transfer-Encoding is chunked, in HTTP/1.1."
    length = message.headers.get(CONTENT_LENGTH)
    if length is not None and len(length) > _LONGEST_LENGTH:
        return "The Content-Length is not one."
    return None
