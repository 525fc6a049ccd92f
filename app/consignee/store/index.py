"""What a store holds in memory: one line for each document, by account and id; and who may change it."""

import builtins
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from consignee.errors import Conflict, LimitReached
from consignee.store import Document
from consignee.store.record import revision_in

_MOST_VERSIONS = 10_000
"""Of how many accounts it is known by itself when they changed."""
Key = tuple[str, str, str]
"""Kind, account and id of a document."""
Share = tuple[str, bool]
"""A kind, and whether it is about removals: on a full disk these are still taken."""


class Change(NamedTuple):
    """One document as it shall be; `removed` means no more. `line` is its record."""

    kind: str
    account: str
    id: str
    revision: int
    line: bytes
    removed: bool = False

    @property
    def key(self) -> Key:
        """Which document it is."""
        return self[:3]

    @property
    def share(self) -> Share:
        """What of a group it is written with, or fails with."""
        return self.kind, self.removed

    @property
    def is_new(self) -> bool:
        """Whether there was no such document before."""
        return self.revision == 1


class Index:
    """The documents of one kind, those of an account in the order in which they were first saved.

    Of each it holds the newest record as it is in the file: bytes take the least memory, and however many there are, Python's
    collector never looks at them, nor at a dictionary of nothing else. What ids have before one of their dots is looked up, not
    searched for: ids of what belongs together begin alike.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, bytes]] = {}
        self._groups: dict[tuple[str, str], dict[str, None]] = {}
        self._versions: dict[str, int] = {}
        self._version_of_others = self._changes = 0
        self.live_bytes = 0
        self.live_documents = 0

    def accounts(self) -> list[str]:
        """Return the accounts that have documents, sorted."""
        return sorted(self._accounts)

    def revision(self, account: str, id: str) -> int:  # noqa: A002
        """Return the revision of the document; 0 if there is none."""
        line = self._line(account, id)
        return 0 if line is None else revision_in(line)

    def revisions(self, account: str) -> dict[str, int]:
        """Return the revisions of the account's documents by id, oldest document first."""
        return {id_: revision_in(line) for id_, line in self._accounts.get(account, {}).items()}

    def version(self, account: str) -> int:
        """Return a number that grows with each change of the account's documents."""
        return self._versions.get(account, self._version_of_others)

    def get(self, account: str, id: str) -> Document | None:  # noqa: A002
        """Return the document, or None."""
        line = self._line(account, id)
        return None if line is None else Document.encoded(account, id, revision_in(line), line)

    def _line(self, account: str, id: str) -> bytes | None:  # noqa: A002
        lines = self._accounts.get(account)
        return None if lines is None else lines.get(id)

    def list(self, account: str, prefix: str = "") -> list[Document]:
        """Return the account's documents whose id begins with `prefix`, oldest first."""
        return [*self.documents(account, *self.found(account, prefix))]

    def found(self, account: str, prefix: str = "") -> tuple[builtins.list[str], builtins.list[bytes]]:
        """Return the ids of what `list` returns, and their records: quickly, however many there are."""
        lines = self._accounts.get(account, {})
        ids = self.ids(account, prefix)
        return ids, [*map(lines.__getitem__, ids)] if prefix else [*lines.values()]

    @staticmethod
    def documents(account: str, ids: Iterable[str], lines: Iterable[bytes]) -> Iterator[Document]:
        """Return the account's documents of what was found."""
        return (Document.encoded(account, id_, revision_in(line), line) for id_, line in zip(ids, lines, strict=True))

    def ids(self, account: str, prefix: str = "") -> builtins.list[str]:
        """Return the ids of the account's documents that begin with `prefix`, oldest first."""
        head = prefix[: prefix.rfind(".") + 1]
        ids = self._groups.get((account, head), {}) if head else self._accounts.get(account, {})
        return [*ids] if prefix == head else [id_ for id_ in ids if id_.startswith(prefix)]

    def count(self, account: str) -> int:
        """Return how many documents the account has."""
        return len(self._accounts.get(account, {}))

    def lines(self) -> Iterator[bytes]:
        """Return the records of all documents, each account's in order."""
        return chain.from_iterable(lines.values() for lines in self._accounts.values())

    def apply(self, change: Change) -> None:
        """Take the change in; removing what is not there does nothing."""
        self._count(change.account)
        if change.removed:
            self.drop(change.account, change.id)
        else:
            self.put(change.account, change.id, change.line)

    def _count(self, account: str) -> None:
        self._changes += 1
        if len(self._versions) >= _MOST_VERSIONS:  # forgetting them makes all look changed
            self._versions.clear()
            self._version_of_others = self._changes
        self._versions[account] = self._changes

    def put(self, account: str, id: str, line: bytes) -> bytes | None:  # noqa: A002
        """Let this be the newest record of the document, and return the one before."""
        if (lines := self._accounts.get(account)) is None:
            lines = self._accounts[account] = {}
        if (before := lines.get(id)) is not None:
            self.live_bytes -= len(before)
        else:
            self.live_documents += 1
        lines[id] = line
        self.live_bytes += len(line)
        if "." in id:
            for head in _heads(id):
                self._groups.setdefault((account, head), {})[id] = None
        return before

    def drop(self, account: str, id: str) -> bytes | None:  # noqa: A002
        """Forget the document, and return its record, if there was one."""
        lines = self._accounts.get(account, {})
        if (before := lines.pop(id, None)) is not None:
            self.live_bytes -= len(before)
            self.live_documents -= 1
        if not lines:
            self._accounts.pop(account, None)
        for head in _heads(id):
            group = self._groups.get((account, head), {})
            group.pop(id, None)
            if not group:
                self._groups.pop((account, head), None)
        return before


def _heads(id: str) -> list[str]:  # noqa: A002
    return [id[: dot + 1] for dot, character in enumerate(id) if character == "."]


def is_kind(name: str) -> bool:
    """Return whether a kind may have this name: files are named for it, so small letters and underscores."""
    return re.fullmatch("[a-z_]+", name) is not None


def check_kind(kind: str) -> None:
    """Raise ValueError unless a kind may have this name."""
    if not is_kind(kind):
        raise ValueError(f"not a kind of document: {kind!r}")


def judge(revision: int, *, replaces: int) -> None:
    """Raise Conflict unless `replaces` is the revision that there is (0: none)."""
    if revision == replaces:
        return
    if replaces == 0:
        raise Conflict("It exists already.")
    raise Conflict("It was changed or removed meanwhile; read it again and repeat.")


def judge_removal(revision: int, *, replaces: int) -> None:
    """Raise Conflict unless there is a document, at revision `replaces`."""
    judge(revision, replaces=replaces or -1)


def judge_limit(count: int, limit: int | None) -> None:
    """Raise LimitReached if an account with `count` documents may have no further one."""
    if limit is not None and count >= limit:
        raise LimitReached(f"The limit of {limit} is reached.")
