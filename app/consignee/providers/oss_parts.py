"""The parts of an upload to OSS: what is kept of each, the document that names them, and the checksum of all of them together.

https://www.alibabacloud.com/help/en/oss/developer-reference/completemultipartupload
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from consignee.body import Body, BytesBody
from consignee.transport import Answer

CRC_HEADER: Final = "x-oss-hash-crc64ecma"
_POLYNOMIAL: Final = 0xC96C5795D7870F42
"""ECMA-182, with the bits in the other order."""
_ETAG = re.compile(r"[0-9A-Za-z-]{1,128}")
_Matrix = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A part that OSS has: its ETag, its CRC-64 if OSS told it, and its length in bytes."""

    etag: str
    crc: int | None
    length: int

    @classmethod
    def of(cls, answer: Answer, length: int) -> "Part | None":
        """Return the part that an answer confirms; None if it has no ETag."""
        etag = answer.headers.get("ETag", "").strip('" ')
        return cls(etag, crc_in(answer), length) if _ETAG.fullmatch(etag) else None

    @classmethod
    def parse(cls, tag: str) -> "Part":
        """Return the part of a tag; raises ValueError if it is none."""
        etag, crc, length = tag.split(" ")
        return cls(etag, None if crc == "-" else int(crc), int(length))

    def __str__(self) -> str:
        return f"{self.etag} {'-' if self.crc is None else self.crc} {self.length}"


def document(parts: Iterable[Part]) -> Body:
    """Return what names all parts, the first one first."""
    named = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag></Part>'
        for number, part in enumerate(parts, start=1)
    )
    return BytesBody(f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode())


def crc_in(answer: Answer) -> int | None:
    """Return the CRC-64 of what OSS has, if it tells."""
    text = answer.headers.get(CRC_HEADER, "")
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def is_made_of(answer: Answer, parts: Iterable[Part]) -> bool:
    """Whether the object of a completion is these parts in this order, as far as OSS tells the checksums."""
    whole, joined = crc_in(answer), 0
    for part in parts:
        if part.crc is None:
            return True
        joined = _times(_zeros(part.length), joined) ^ part.crc
    return whole in (None, joined)


@cache
def _zeros(length: int) -> _Matrix:
    """Return what a CRC becomes when as many zero bytes follow: a matrix of bits, by columns; all parts but one share it."""
    power: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(63)))
    made: _Matrix = tuple(1 << bit for bit in range(64))
    bits = 8 * length
    while bits:
        if bits & 1:
            made = tuple(_times(power, column) for column in made)
        power = tuple(_times(power, column) for column in power)
        bits >>= 1
    return made


def _times(matrix: _Matrix, vector: int) -> int:
    product = 0
    for column in matrix:
        if vector & 1:
            product ^= column
        vector >>= 1
    return product
