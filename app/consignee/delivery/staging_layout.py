"""How the files of one set lie in a staging bucket: one after another in a stream, which is cut into pieces of one size.

Behind each file of more than one section come the digests of its sections. All follows from the sizes of the files: nothing else
has to be noted of a set, and many small files are one object. What is written here stands for all that is staged already.
"""

from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from consignee.digests import encoded_size

PIECE_BYTES: Final = 8 * 1024 * 1024
"""How long each object is but the last one of a set: as much of it is in memory while it arrives."""
SECTION_BYTES: Final = 16 * 1024 * 1024
"""How long the sections are of which the digests are kept."""


class Layout:
    """Where in the stream each file begins, in bytes, and where the last one ends."""

    def __init__(self, sizes: Iterable[int]) -> None:
        ends = accumulate((size + trailer_bytes(size) for size in sizes), initial=0)
        *self.starts, self.end = ends

    def pieces(self, size: int) -> int:
        """Return how many pieces of that size there are."""
        return -(-self.end // size)


def trailer_bytes(size: int) -> int:
    """Return how many bytes the digests behind a file of that size take."""
    return encoded_size(size, SECTION_BYTES)
