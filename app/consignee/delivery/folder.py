"""Folder: where the files of one set lie as they arrive, and where they are kept. All of it blocks, and raises OSError."""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from consignee.delivery.writing import Writing
from consignee.store.disk import fsync_directory, new_directory, new_private, sync_data, write_all

logger = logging.getLogger(__name__)


class Folder:
    """The files of one set under their numbers: at `place` until they are moved to `kept_at`."""

    def __init__(self, place: Path, kept_at: Path) -> None:
        self._place = place
        self._kept_at = kept_at
        self._ours: list[Path] = []
        self._unsynced: list[int] = []

    def make(self) -> None:
        """Make it, unless that was done; one that is there already is not ours to remove."""
        if not self._ours:
            new_directory(self._place)
            self._ours.append(self._place)

    def writing(self, number: int) -> Writing:
        """Return what writes a file piece by piece."""
        return Writing(self._place / str(number))

    def write(self, files: Mapping[int, bytes]) -> None:
        """Write whole files, to be synced together."""
        self.make()
        for number, content in files.items():
            self._unsynced.append(new_private(f"{self._place}/{number}"))
            write_all(self._unsynced[-1], content)

    def sync(self) -> None:
        """Return when what `write` wrote is durable."""
        while self._unsynced:
            sync_data(self._unsynced[-1])
            os.close(self._unsynced.pop())

    def move(self) -> None:
        """Give the files, and their names, the place where they are kept; durable when both places are synced."""
        fsync_directory(self._place)
        self._place.rename(self._kept_at)
        self._ours.append(self._kept_at)

    def discard(self) -> None:
        """Remove all of it, also what was moved already; raises nothing."""
        while self._unsynced:
            with suppress(OSError):  # a disk over a network may tell only now that it is full
                os.close(self._unsynced.pop())
        for path in self._ours:
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.error("an unfinished intake could not be removed: %s", error)
