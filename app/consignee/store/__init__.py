"""Store: durable documents by kind, account and id. The contract that every store keeps.

A document is a JSON object with a revision, which starts at 1 and grows by 1 with each save. What
`consignee.testing.StoreContract` checks holds for every implementation.
"""

import abc
import builtins
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

Data = Mapping[str, Any]
_DECODE: Final = json.JSONDecoder().raw_decode
_SET: Final = object.__setattr__


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was at one revision."""

    account: str
    id: str
    revision: int
    data: Data
    _line: bytes = field(default=b"", init=False, repr=False, compare=False)

    @classmethod
    def encoded(cls, account: str, id: str, revision: int, line: bytes) -> Self:  # noqa: A002
        """Return the document in a line of JSON, which has its `data`: decoded when first asked for, for often nobody does."""
        document = cls.__new__(cls)
        _SET(document, "account", account)
        _SET(document, "id", id)
        _SET(document, "revision", revision)
        _SET(document, "_line", line)
        return document

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Decode the data: what is set is found without this."""
            if name != "data":
                raise AttributeError(name)
            fields, _ = _DECODE(self._line.decode())
            _SET(self, name, fields[name])
            return fields[name]


@dataclass(frozen=True)
class Size:
    """How many documents of a kind there are, and how many bytes their newest revisions take."""

    documents: int
    bytes: int


class Entry(NamedTuple):
    """Where a document is, and its place in the order of first saves: a number that no other document of its kind ever has."""

    number: int
    account: str
    id: str


class Store(abc.ABC):
    """Durable documents.

    `save` and `remove` return when the change survives `kill -9` and a power cut, and not before; if they raise, what was there
    before is still there. A reader never sees a change that is not durable yet.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Make ready. Raises StoreUnusable rather than start empty over somebody's data: for a corrupt record (names file
        and line), a second process, a newer format."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Finish what was begun, then let go. May be called twice."""

    @property
    @abc.abstractmethod
    def writable(self) -> bool:
        """Whether a save can work at all now: open, and no earlier disk failure made it read-only."""

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open too; else this one has it for itself."""
        return False

    @asynccontextmanager
    async def alone(self, name: str, *, patience: float = 30.0) -> AsyncIterator[None]:
        """Be the only process that has this store open and is inside, under that name.

        Raises StoreError if another one is inside for longer than `patience`, in seconds. Of one process several tasks may be
        inside at once where the store is not shared.
        """
        yield

    @property
    def connections(self) -> tuple[int, int] | None:
        """How many connections to where it is are in use, and how many may be; None for a store that is here."""
        return None

    @property
    def commits(self) -> int:
        """How many writes were made durable since the opening, or failed; 0 where nobody counts them."""
        return 0

    def sizes(self) -> "dict[str, Size]":
        """Return how much there is of each kind; cheap. Empty where nobody counts it."""
        return {}

    @abc.abstractmethod
    def kinds(self) -> list[str]:
        """The kinds of which at least one document was ever saved, sorted; empty for a new store."""

    @abc.abstractmethod
    async def accounts(self, kind: str) -> list[str]:
        """Return the accounts that have a document of that kind, sorted."""

    async def in_order(self, kind: str, *, behind: int = 0, most: int) -> builtins.list[Entry]:
        """Return the first `most` documents of that kind, of all accounts, whose numbers are over `behind`; none is read.

        What is saved at the same time may come into sight a little later than what has a higher number. A store that is not
        shared need not have this.
        """
        raise NotImplementedError

    @abc.abstractmethod
    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        """Return the document, or None."""

    @abc.abstractmethod
    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        """Return all documents of that kind and account whose id begins with `prefix`, in the order of their first saves."""

    @abc.abstractmethod
    async def ids(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[str]:
        """Return the ids of what `list` would return, in the same order; cheap, for no document is read."""

    @abc.abstractmethod
    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        """Return the document's revision; 0 if there is none. It is not read."""

    @abc.abstractmethod
    async def revisions(self, kind: str, account: str) -> dict[str, int]:
        """Return the revision of each document that `list` would return, by id, in the same order; no document is read."""

    @abc.abstractmethod
    def version(self, kind: str, account: str) -> int:
        """Return a number that is higher after each change of the account's documents of that kind, until the store is closed.

        It may also be higher where nothing has changed.
        """

    @abc.abstractmethod
    async def count(self, kind: str, account: str) -> int:
        """Return how many documents of that kind the account has."""

    @abc.abstractmethod
    async def save(
        self,
        kind: str,
        account: str,
        id: str,  # noqa: A002
        data: Data,
        *,
        replaces: int = 0,
        limit: int | None = None,
    ) -> Document:
        """Save `data` as revision `replaces + 1`; `replaces=0` means that there must be no such document yet.

        Raises Conflict if the revision is not `replaces`, and LimitReached if this would be a new document and the account has
        `limit` of that kind already: checked in one step with the save, so that no two callers pass it together. Raises
        StoreError if the disk failed: then nothing has changed.
        """

    @abc.abstractmethod
    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        """Remove the document; raises Conflict if its revision is not `replaces`, StoreError as `save` does."""
