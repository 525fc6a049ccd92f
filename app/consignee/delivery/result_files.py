"""ResultFiles: where the files of result sets are, from their arrival until no delivery needs them any more. The contract.

On this machine's disk it is `spool.Spool`; in a bucket, where every process finds them, `staging.Staging`. A set of files has a
token, and each file its number in the set; customers' names lead nowhere.
"""

import abc
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from consignee.body import Body, KeptBody
from consignee.delivery.intake import Intake, SpooledFile

_TOKEN: Final = re.compile(r"[0-9a-f]+")
Named = Callable[[str, str, str], Awaitable[bool]]
"""Whether a result set, of that account and that collection, has that token."""


def is_token(text: str) -> bool:
    """Whether that can be the token of a set: a damaged record must not lead anywhere else."""
    return _TOKEN.fullmatch(text) is not None


class Stored(abc.ABC):
    """The files of one set, as they are kept."""

    @abc.abstractmethod
    def body(self, number: int) -> KeptBody:
        """Return the content of the file that was added as that one, from 0.

        To read it raises FileDamaged if it is not what was taken in, OSError or StoreError if it can't be read now.
        """

    @abc.abstractmethod
    async def contents(self, numbers: Iterable[int]) -> Mapping[int, Body]:
        """Return small files, read whole; one that can't be read as it was is left out: its `body` says why."""


class ResultFiles(abc.ABC):
    """The files of all result sets of a store."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Make ready; raises StoreUnusable."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Let go. May be called twice."""

    @abc.abstractmethod
    async def claim(self, owner: str | None) -> str:
        """Return whose files these are, to be noted in the store; `owner` is what is noted there. Raises StoreUnusable if the
        files that are here are another store's, or this store's are elsewhere, and StoreError."""

    async def is_new(self) -> bool:
        """Return whether it is a directory that no store's files were ever in; raises StoreError."""
        return False

    @abc.abstractmethod
    def intake(
        self, *, reserved: Iterable[str] = (), account: str = "", collection_id: str = ""
    ) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which files are taken in, but none of a `reserved` name; left without `keep`, nothing stays."""

    @abc.abstractmethod
    def stored(self, token: str, files: Sequence[SpooledFile]) -> Stored:
        """Return the files of a set, which has these and no others."""

    @abc.abstractmethod
    async def remove(self, token: str) -> None:
        """Remove a set of which there is no document, durably or a little later; one that is not there is fine.

        Raises StoreError.
        """

    async def settle(self, token: str) -> None:  # noqa: B027 - where nobody else can take a set for dead
        """Note that the document of a set is saved, before anything is done with it. Raises StoreError if another process has
        given the set up meanwhile: its document must be removed again."""

    async def release(self, token: str, files: Sequence[SpooledFile]) -> None:  # noqa: B027 - where `sweep` finds what is left
        """Remove of a set what could not be found without its document, which is removed next. May be repeated.

        Raises StoreError: then the document must stay.
        """

    async def disown(self, token: str, files: Sequence[SpooledFile], *, account: str, collection_id: str) -> None:  # noqa: B027 - where `sweep` finds what is left
        """Note, before the document of a set is removed whose files are not to be missed if that fails, that `tidy` shall look
        whether it was. Raises StoreError: then the document must stay."""

    @property
    def listed(self) -> bool:
        """Whether it can be told which sets there are: `sweep` then wants to know which of them are needed."""
        return False

    async def tokens(self) -> list[str]:
        """Return the tokens of the sets that are kept, sorted; none unless they are `listed`. Raises StoreError."""
        return []

    async def sweep(self, keep: Container[str]) -> None:  # noqa: B027 - where nothing is listed
        """Remove every kept set whose token is not in `keep`, but for those that are arriving. Raises StoreError."""

    async def tidy(self, named: Named) -> None:  # noqa: B027 - where a start does it
        """Remove what processes left behind that ended before they had saved a result set. Cheap; to be done now and then, by
        one process at a time. Raises StoreError."""

    @property
    def directory(self) -> Path | None:
        """Where they are on this machine's disk."""
        return None

    @abc.abstractmethod
    def held(self) -> AbstractAsyncContextManager[Path | None]:
        """Yield that directory, in which no set is removed before the block ends."""
