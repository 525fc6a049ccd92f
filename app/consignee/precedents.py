"""Precedents: what was asked before under an idempotency key, and what came of it. Each is kept for a day."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final

from consignee.clock import timestamp
from consignee.errors import Conflict, LimitReached, NotFound, RateLimited
from consignee.precedent import Judgement, Precedent, Subject, fingerprint
from consignee.sealed import open_secrets, seal_secrets
from consignee.secret import Sealer, Secret
from consignee.store import Document, Store
from consignee.store.documents import discard

__all__ = ["KEPT", "KIND", "Judgement", "Precedent", "Precedents", "Subject", "fingerprint"]

KIND: Final = "idempotency_keys"
KEPT: Final = timedelta(days=1)
_SALT: Final = "salt"
_ANSWER: Final = "answer"
_SALT_BYTES: Final = 32


class Precedents:
    """The precedents of all accounts, `most` of each; `random` makes the salts."""

    def __init__(
        self,
        store: Store,
        *,
        sealer: Sealer,
        most: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._most = most
        self._now = now
        self._random = random
        self._expiries: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """Of each account by id, the oldest first; nothing if the store is shared."""

    @property
    def store(self) -> Store:
        """Where they are."""
        return self._store

    async def get(self, account: str, id: str) -> Precedent | None:  # noqa: A002
        """Return a precedent; None if there is none, or it is over a day old. Raises StoreError."""
        document = await self._store.get(KIND, account, id)
        if document is None:
            return None
        if document.data["expires_at"] > timestamp(self._now()):
            return self._read(document)
        await self._remove(document)
        return None

    async def judge(self, account: str, id: str, *, late: float) -> Judgement:  # noqa: A002
        """Remove a precedent if it is over a day old, and return how it was; `late` is in seconds. Raises StoreError."""
        if (document := await self._store.get(KIND, account, id)) is None:
            return Judgement()
        left = datetime.fromisoformat(document.data["expires_at"]) - self._now()
        if left <= timedelta():
            await self._remove(document)
            return Judgement(was_old=True)
        is_new = KEPT - left < timedelta(seconds=late)
        return Judgement(is_new=is_new, unsettled=None if is_new or document.data["made"] else self._read(document))

    async def unsettled(self) -> AsyncIterator[Precedent]:
        """Take up what is in the store, and yield those of which it is not known whether their subject was made."""
        for account in await self._store.accounts(KIND):
            for one in await self._store.ids(KIND, account):
                if (document := await self._store.get(KIND, account, one)) is not None:
                    self._expiries[account][one] = document.data["expires_at"]
                    if not document.data["made"]:
                        yield self._read(document)
                await asyncio.sleep(0)
            self._expiries[account] = dict(sorted(self._expiries[account].items(), key=itemgetter(1)))

    def old(self) -> list[tuple[str, str]]:
        """Return account and id of each that is over a day old."""
        now = timestamp(self._now())
        return [
            (account, one)
            for account, expiries in self._expiries.items()
            for one, expires_at in expiries.items()
            if expires_at <= now
        ]

    async def begin(self, account: str, id: str, subject: Subject, content: bytes, *, replaces: int) -> Precedent:  # noqa: A002
        """Save that this was asked for and is going to be made; raises RateLimited, StoreError."""
        salt = Secret(self._random(_SALT_BYTES).hex())
        begun = Precedent(
            account=account,
            id=id,
            revision=replaces,
            subject=subject,
            fingerprint=fingerprint(content, salt),
            salt=salt,
            expires_at=timestamp(self._now() + KEPT),
        )
        try:
            return await self.save(begun)
        except LimitReached:
            told = f"{self._most} idempotency keys were used within a day, and no more are remembered for an account."
            raise RateLimited(told, retry_after=await self._free_in(account)) from None

    async def _free_in(self, account: str) -> int:
        """In how many seconds the oldest one makes room for another."""
        oldest = await self._oldest(account) if self._store.shared else self._first(account)
        return max(1, int((datetime.fromisoformat(oldest) - self._now()).total_seconds())) if oldest else 1

    def _first(self, account: str) -> str:
        return next(iter(self._expiries.get(account, {}).values()), "")

    async def _oldest(self, account: str) -> str:
        for one in await self._store.ids(KIND, account):
            if (document := await self._store.get(KIND, account, one)) is not None:
                return str(document.data["expires_at"])
        return ""

    async def save(self, precedent: Precedent) -> Precedent:
        """Save a precedent in place of its revision, and return it as it is then; raises LimitReached, Conflict, StoreError."""
        saved = replace(precedent, revision=precedent.revision + 1)
        data, place = self._data(saved), (saved.account, saved.id)
        await self._store.save(KIND, *place, data, replaces=precedent.revision, limit=self._most)
        self._note(*place, saved.expires_at)
        return saved

    def _note(self, account: str, id: str, expires_at: str) -> None:  # noqa: A002
        if self._store.shared:  # others add some, and remove some
            return
        expiries = self._expiries[account]
        if expiries.get(id) != expires_at:
            expiries.pop(id, None)
            expiries[id] = expires_at

    async def forget(self, account: str, id: str) -> None:  # noqa: A002
        """Remove a precedent, if it is there; raises StoreError."""
        with suppress(NotFound):
            await discard(self._store, KIND, account, id, what="precedent")
        self._drop(account, id)

    async def withdraw(self, begun: Precedent) -> None:
        """Remove what was begun, unless somebody else has begun anew with its key since; raises StoreError."""
        while (latest := await self.get(begun.account, begun.id)) is not None and latest.is_same(begun):
            with suppress(Conflict):  # renewed, or sealed anew
                await self._store.remove(KIND, begun.account, begun.id, replaces=latest.revision)
                self._drop(begun.account, begun.id)

    async def _remove(self, document: Document) -> None:
        """Remove a precedent as it is there; one that was begun anew meanwhile stays."""
        with suppress(Conflict):
            await self._store.remove(KIND, document.account, document.id, replaces=document.revision)
            self._drop(document.account, document.id)

    def _drop(self, account: str, id: str) -> None:  # noqa: A002
        self._expiries[account].pop(id, None)
        if not self._expiries[account]:
            del self._expiries[account]

    async def made(self, account: str, subject: Subject) -> Subject | None:
        """Return the subject by its own id if it was made, otherwise None."""
        if not subject.token:
            return subject if await self._store.get(subject.kind, account, subject.id) else None
        prefix = subject.id.partition(".")[0] + "."
        for one in await self._store.ids(subject.kind, account, prefix=prefix):
            if one > subject.id and await self._token(subject.kind, account, one) == subject.token:
                return Subject(subject.kind, one)
        return None

    async def vouched(self, account: str, subject: Subject) -> Subject | None:
        """Return the same, to be told: a process that only stood still must not take it back any more, and finds it changed."""
        made = await self.made(account, subject)
        if made is None or not (subject.token and self._store.shared):
            return made
        while (document := await self._store.get(made.kind, account, made.id)) is not None:
            with suppress(Conflict):
                await self._store.save(made.kind, account, made.id, document.data, replaces=document.revision)
                return made
        return None

    async def _token(self, kind: str, account: str, id: str) -> str | None:  # noqa: A002
        document = await self._store.get(kind, account, id)
        return document.data["token"] if document else None

    def _data(self, precedent: Precedent) -> dict[str, Any]:
        place: dict[str, Any] = {"account": precedent.account, "id": precedent.id, "revision": precedent.revision}
        secrets = {_SALT: precedent.salt}
        if precedent.answer is not None:
            secrets[_ANSWER] = precedent.answer
        kept = {name: value for name, value in vars(precedent).items() if name not in (*place, _SALT, _ANSWER)}
        return {
            **kept,
            "subject": vars(precedent.subject),
            "secrets": seal_secrets(secrets, self._sealer, **place),
        }

    def _read(self, document: Document) -> Precedent:
        data = {name: value for name, value in document.data.items() if name != "secrets"}
        secrets = open_secrets(document, self._sealer)
        return Precedent(
            account=document.account,
            id=document.id,
            revision=document.revision,
            salt=secrets[_SALT],
            answer=secrets.get(_ANSWER),
            **{**data, "subject": Subject(**data["subject"])},
        )
