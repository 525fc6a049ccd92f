"""Room on the disk that is held for removals: in a log, even that something is gone takes a record. All of it blocks."""

import logging
import os
from pathlib import Path

from consignee.store.disk import allocate, open_private

logger = logging.getLogger(__name__)


class Reserve:
    """A file of `size` bytes that stands for room; as long as it can't be held, the disk counts as full."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._missed = False
        self.held = size == 0

    def take(self) -> bool:
        """Hold the room if the disk has it, and return whether it is held. Raises OSError if the file can't even be opened."""
        if not self.held:
            self.held = self._taken()
            self._tell()
        return self.held

    def _taken(self) -> bool:
        fd = open_private(self._path, os.O_RDWR)  # some file systems must read to set room aside
        try:
            allocate(fd, self._size)
        except OSError:
            os.ftruncate(fd, 0)  # removals need what room there is
            return False
        finally:
            os.close(fd)
        return True

    def release(self) -> None:
        """Let removals have the room. Raises OSError."""
        self.held = False
        self._tell()
        os.truncate(self._path, 0)

    def _tell(self) -> None:
        if self.held and self._missed:
            logger.warning("there is room on the store's disk again")
        elif not self.held and not self._missed:
            logger.error("the store's disk is full: only reading and removing work until there is room")
        self._missed = not self.held
