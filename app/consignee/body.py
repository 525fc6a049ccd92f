"""What is uploaded: content of a known length that can be read again, from any offset, so that a retry can sign afresh."""

import abc
import hashlib
from collections.abc import AsyncIterator


class Body(abc.ABC):
    """Content with its length in bytes and its digests."""

    length: int
    md5: bytes
    sha256: bytes

    @abc.abstractmethod
    def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`, as often as it is asked for."""

    def payload(self) -> bytes | AsyncIterator[bytes]:
        """Return the whole content in the form that costs least to send."""
        return self.chunks()


class BytesBody(Body):
    """A small body that is in memory already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)
        self.md5 = hashlib.md5(data, usedforsecurity=False).digest()
        self.sha256 = hashlib.sha256(data).digest()

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        yield self._data[offset:]

    def payload(self) -> bytes:
        """Return the content."""
        return self._data
