"""What a store holds in memory: one line for each document, by account and id; and who may change it."""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from consignee.errors import Conflict, LimitReached
from consignee.store import Document
from consignee.store.record import decode_document

Share = tuple[str, bool]
"""A kind, and whether it is about removals: on a full disk these are still taken."""


@dataclass(frozen=True)
class Change:
    """One document as it shall be; `removed` means no more. `line` is its record."""

    kind: str
    account: str
    id: str
    revision: int
    line: bytes
    removed: bool = False

    @property
    def share(self) -> Share:
        """What of a group it is written with, or fails with."""
        return self.kind, self.removed

    @property
    def is_new(self) -> bool:
        """Whether there was no such document before."""
        return self.revision == 1


class Entry(NamedTuple):
    """The newest record of a document; decoded only when it is read, because bytes take the least memory."""

    revision: int
    line: bytes


class Index:
    """The documents of one kind, those of an account in the order in which they were first saved.

    What ids have before one of their dots is looked up, not searched for: ids of what belongs together begin alike.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Entry]] = {}
        self._groups: dict[tuple[str, str], dict[str, None]] = {}
        self.live_bytes = 0

    def accounts(self) -> list[str]:
        """Return the accounts that have documents, sorted."""
        return sorted(self._accounts)

    def revision(self, account: str, id: str) -> int:  # noqa: A002
        """Return the revision of the document; 0 if there is none."""
        entry = self._accounts.get(account, {}).get(id)
        return entry.revision if entry else 0

    def get(self, account: str, id: str) -> Document | None:  # noqa: A002
        """Return the document, or None."""
        entry = self._accounts.get(account, {}).get(id)
        return decode_document(entry.line) if entry else None

    def list(self, account: str, prefix: str = "") -> list[Document]:
        """Return the account's documents whose id begins with `prefix`, oldest first."""
        entries = self._accounts.get(account, {})
        return [decode_document(entries[id_].line) for id_ in self.ids(account, prefix)]

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
        return (entry.line for entries in self._accounts.values() for entry in entries.values())

    def apply(self, change: Change) -> None:
        """Take the change in; removing what is not there does nothing."""
        self.live_bytes -= self._size(change.account, change.id)
        if change.removed:
            self._drop(change.account, change.id)
        else:
            entries = self._accounts.setdefault(change.account, {})
            entries[change.id] = Entry(change.revision, change.line)
            self.live_bytes += len(change.line)
            for head in _heads(change.id):
                self._groups.setdefault((change.account, head), {})[change.id] = None

    def _size(self, account: str, id: str) -> int:  # noqa: A002
        entry = self._accounts.get(account, {}).get(id)
        return len(entry.line) if entry else 0

    def _drop(self, account: str, id: str) -> None:  # noqa: A002
        entries = self._accounts.get(account, {})
        entries.pop(id, None)
        if not entries:
            self._accounts.pop(account, None)
        for head in _heads(id):
            group = self._groups.get((account, head), {})
            group.pop(id, None)
            if not group:
                self._groups.pop((account, head), None)


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
