"""Multipart bodies, read piece by piece: whatever their size, little of them is in memory at once.

As RFC 7578 and the clients that there are have it: names come as raw UTF-8, or in a `filename*`; a quotation mark may come behind
a backslash. What some clients write as %22 stays that: nothing tells it from a name that holds just these characters.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from consignee.web.errors import BadRequest

MOST_HEADERS: Final = 16
HEAD_BYTES: Final = 8192
"""Of the headers of one part, and of what may stand before the first part and after the last."""

# Where one quantifier ends and the next begins, no character fits both, or the first gives nothing back: else a few kilobytes
# that match nothing would take quadratic time.
_PARAMETER: Final = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*', re.DOTALL)
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN: Final = ("", "identity", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class Part:
    """One part; it is a file if it has a `filename`. Its content can be read once, and before the next part is asked for."""

    name: str
    filename: str | None
    chunks: AsyncIterator[bytes]


class Parts:
    """The parts of a body. What is not well formed, also a body that ends too early, raises BadRequest."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = chunks
        self._buffer = bytearray(b"\r\n")  # The first delimiter may be the very beginning.
        self._delimiter = b"\r\n--" + boundary.encode()
        self._content = self._until_delimiter()
        self._begun = False

    async def next(self) -> Part | None:
        """Return the next part, or None when the body was read to its end."""
        await self._skip_content()
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            await self._end()
            return None
        if (await self._line(HEAD_BYTES)).strip(b" \t"):
            raise malformed("something follows a boundary")
        headers = await self._headers()
        self._content = self._until_delimiter()
        return _part(headers, self._content)

    async def _skip_content(self) -> None:
        """What nobody read; before the first part, that is bounded."""
        skipped = 0
        async for chunk in self._content:
            skipped += len(chunk)
            if not self._begun and skipped > HEAD_BYTES:
                raise malformed("it does not begin with its boundary")
        self._begun = True

    async def _end(self) -> None:
        """Behind the end stands nothing, or line breaks: an epilogue would be content that is lost without a word."""
        size, rest = 0, bytes(self._buffer[2:])
        while True:
            size += len(rest)
            if size > HEAD_BYTES or rest.strip(b" \t\r\n"):
                raise malformed("it goes on after its last boundary")
            if not (rest := await anext(self._chunks, b"")):
                return

    async def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        left = HEAD_BYTES
        while line := await self._line(left):
            left -= len(line)
            name, value = _header(line)
            if name in headers or len(headers) == MOST_HEADERS:
                raise malformed("the headers of a part repeat, or are too many")
            headers[name] = value
        return headers

    async def _line(self, most: int) -> bytes:
        while (end := self._buffer.find(b"\r\n", 0, most + 2)) < 0:
            if len(self._buffer) >= most + 2:
                raise malformed("the headers of a part are too long")
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _until_delimiter(self) -> AsyncIterator[bytes]:
        buffer, held = self._buffer, len(self._delimiter) - 1
        while (end := buffer.find(self._delimiter)) < 0:
            if chunk := bytes(buffer[:-held]):
                del buffer[:-held]
                yield chunk
            await self._more()
        chunk = bytes(buffer[:end])
        del buffer[: end + len(self._delimiter)]
        if chunk:
            yield chunk

    async def _more(self) -> None:
        chunk = await anext(self._chunks, b"")
        if not chunk:
            raise malformed("it ends before its last boundary")
        self._buffer += chunk


def malformed(how: str) -> BadRequest:
    """Return the error for a body that is not well formed."""
    return BadRequest("invalid_request", f"The multipart body is not well formed: {how}.")


def boundary_of(content_type: str) -> str:
    """Return the boundary that a Content-Type names; raises BadRequest."""
    boundary = _parameters(content_type).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise malformed("its Content-Type names no boundary")
    return boundary


def _header(line: bytes) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    try:
        return (match[1].decode().lower(), match[2].decode()) if match else _no_header()
    except UnicodeDecodeError:
        raise malformed("the headers of a part are not UTF-8") from None


def _no_header() -> tuple[str, str]:
    raise malformed("a part has a header that is none")


def _part(headers: dict[str, str], chunks: AsyncIterator[bytes]) -> Part:
    for header in ("content-transfer-encoding", "content-encoding"):
        if headers.get(header, "").strip().lower() not in _PLAIN:
            raise BadRequest("unsupported_media_type", "An encoded part is not accepted: send the file as it is.")
    disposition = headers.get("content-disposition", "")
    if disposition.partition(";")[0].strip().lower() != "form-data":
        raise malformed("a part has no Content-Disposition of form-data")
    parameters = _parameters(disposition)
    filename = _filename(parameters)
    if filename is None and "name" not in parameters:
        raise malformed("a part has neither a name nor a filename")
    return Part(parameters.get("name", ""), filename, chunks)


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header; unquoted values may hold more than the standard lets them, as those of some clients do."""
    rest = value.rstrip("; \t")
    found: dict[str, str] = {}
    position = start if (start := rest.find(";")) >= 0 else len(rest)
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None or match[1].lower() in found:
            raise malformed("the parameters of a header can't be read")
        quoted = match[2]
        found[match[1].lower()] = match[3] if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        position = match.end()
    return found


def _filename(parameters: dict[str, str]) -> str | None:
    if "filename*" in parameters:
        return _extended(parameters["filename*"])
    if any(name.startswith("filename*") for name in parameters):
        raise malformed("the filename of a part is in pieces")
    return parameters.get("filename")


def _extended(value: str) -> str:
    """RFC 8187: the charset, perhaps a language, and the text with percent signs."""
    charset, _, rest = value.partition("'")
    _, quote, text = rest.partition("'")
    try:
        if charset.lower() == "utf-8" and quote:
            return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        pass
    raise malformed("the filename* of a part is not in UTF-8")
