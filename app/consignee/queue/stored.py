"""The queue over a store: jobs are documents, and what is unfinished is in memory too. For one process."""

import asyncio
import builtins
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from consignee.errors import Conflict, StoreError
from consignee.queue import AT_ONCE, Census, Change, Data, Job, LeaseLost, Queue
from consignee.queue.census import census
from consignee.queue.forms import changed, ended, form_of, job_in
from consignee.queue.lanes import Chosen, Lanes
from consignee.store import Document, Store

_T = TypeVar("_T")

log = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds."""

PAUSE: Final = 1.0
"""Seconds after which a job is tried again that could not be claimed, for the disk failed."""

READ_AT_ONCE: Final = 200
"""How many jobs are read before others get their turn."""


class StoredQueue(Queue):
    """Keeps the jobs of one kind in a store.

    `now` returns seconds since 1970. A lease lasts `lease` seconds by `clock`, which should be one that nobody sets: else a
    worker loses its job to another one when the clock is set forward. Of one account at most `of_account` jobs are under lease.
    No job is due more than `furthest` seconds ahead; one that seems to be was saved before the clock was set back. `dress`
    gets account, id and form of a job that is about to be saved, and returns the form that is.
    """

    def __init__(
        self,
        store: Store,
        kind: str,
        *,
        now: Callable[[], float],
        lease: float = LEASE,
        clock: Callable[[], float] | None = None,
        of_account: int | None = None,
        furthest: float = math.inf,
        dress: Callable[[str, str, Data], Data] | None = None,
    ) -> None:
        self._store = store
        self._kind = kind
        self._now = now
        self._lease = lease
        self._clock = clock or now
        self._of_account = of_account
        self._furthest = furthest
        self._dress = dress
        self._lanes = Lanes(of_account=of_account)
        self._news = asyncio.Event()

    async def open(self) -> None:
        self._lanes = Lanes(of_account=self._of_account)
        for account in await self._store.accounts(self._kind):
            for number, id_ in enumerate(await self._store.ids(self._kind, account), 1):
                if (document := await self._store.get(self._kind, account, id_)) is not None:
                    self._restore(job_in(document), document.revision)
                if number % READ_AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._news.set()

    def _restore(self, job: Job, revision: int) -> None:
        now = self._now()
        due = None if job.due is None else min(job.due, now + self._furthest)
        # This process has the store for itself: whoever held a lease is no more.
        self._lanes.put(changed(job, due=due, lease=None), revision, now=now)

    async def add(self, account: str, id: str, data: Data, *, lane: str, due: float | None) -> Job:  # noqa: A002
        return await self._save(Job(account=account, id=id, lane=lane, data=data, due=due), replaces=0)

    async def claim(self, limit: int, *, each: int) -> list[Job]:
        if limit < 1:
            return []  # and nothing was looked at, so that what is due is still news
        ticks = self._clock()
        chosen = self._lanes.choose(limit, each=each, now=self._now(), ticks=ticks, until=ticks + self._lease)
        if self._lanes.ready and chosen:
            self._news.set()
        if len(chosen) == 1:
            claimed = [await self._claim_one(chosen[0])]
        else:
            claimed = await asyncio.gather(*map(self._claim_one, chosen))
        if failures := [failure for failure in claimed if isinstance(failure, StoreError)]:
            log.error("%d jobs could not be claimed: %s", len(failures), failures[0])
        return [job for job in claimed if isinstance(job, Job)]

    async def _claim_one(self, chosen: Chosen) -> Job | StoreError | None:
        try:
            document = await self._store.get(self._kind, chosen.account, chosen.id)
            if document is not None and document.revision == chosen.revision:
                job = job_in(document)
                crashes = job.crashes + 1 if job.lease is not None else 0
                leased = changed(job, attempt=job.attempt + 1, crashes=crashes, lease=self._clock() + self._lease)
                return await self._save(leased, replaces=document.revision)
            self._found(chosen.account, chosen.id, document)
        except Conflict:  # changed meanwhile: who did that has told the lanes
            pass
        except StoreError as failure:
            self._lanes.spare(chosen, self._now() + PAUSE)
            return failure
        return None

    async def extend(self, job: Job, data: Data | None = None) -> Job:
        until = self._clock() + self._lease
        # In memory is enough, if there is nothing to save: a lease ends with this process anyway.
        if data is None and self._lanes.extend(job.account, job.id, job.attempt, until):
            return changed(job, lease=until)
        if data is None:
            return await self._fenced(job, lambda now: changed(now, lease=until), unread=False)
        return await self._fenced(job, lambda now: changed(now, data=data, lease=until))

    async def acknowledge(self, job: Job, data: Data) -> Job:
        return await self._fenced(job, lambda now: changed(ended(now), data=data, due=None), told=True)

    async def retry(self, job: Job, data: Data, *, due: float) -> Job:
        return await self._fenced(job, lambda now: changed(ended(now), data=data, due=due), told=True)

    async def release(self, job: Job, data: Data | None = None) -> Job:
        if data is None:
            return await self._fenced(job, lambda now: changed(ended(now), due=AT_ONCE), unread=False)
        return await self._fenced(job, lambda now: changed(ended(now), data=data, due=AT_ONCE))

    async def change(self, account: str, id: str, decide: Callable[[Job], Change | None]) -> Job | None:  # noqa: A002
        def edit(job: Job) -> Job | None:
            change = decide(self._as_leased(job))
            return None if change is None else changed(ended(job), data=change.data, due=change.due)

        return await self._rewrite(account, id, edit) or await self.get(account, id)

    async def remove(self, account: str, id: str) -> None:  # noqa: A002
        while (document := await self._store.get(self._kind, account, id)) is not None:
            with suppress(Conflict):
                return await _carried_out(self._remove(document))
        self._found(account, id, None)
        return None

    async def get(self, account: str, id: str) -> Job | None:  # noqa: A002
        document = await self._store.get(self._kind, account, id)
        return None if document is None else self._as_leased(job_in(document))

    async def list(self, account: str, *, prefix: str = "") -> list[Job]:
        documents = await self._store.list(self._kind, account, prefix=prefix)
        return [self._as_leased(job_in(document)) for document in documents]

    async def ids(self, account: str, *, prefix: str = "") -> builtins.list[str]:
        return await self._store.ids(self._kind, account, prefix=prefix)

    async def unfinished(self, account: str, *, prefix: str) -> bool:
        return any((account, id_) in self._lanes for id_ in await self.ids(account, prefix=prefix))

    async def census(self) -> Census:
        return await census(self._lanes.jobs(), now=self._now())

    async def hold(self, account: str, lane: str, until: float | None) -> None:
        self._lanes.hold(account, lane, until)
        self._news.set()

    async def wait(self, seconds: float) -> None:
        if not self._lanes.ripen(self._now(), self._clock()):
            pause = self._lanes.pause(self._now(), self._clock())
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds if pause is None else min(seconds, pause)):
                    await self._news.wait()
        self._news.clear()

    async def _fenced(self, job: Job, edit: Callable[[Job], Job], *, told: bool = False, unread: bool = True) -> Job:
        """Save what the attempt says; `unread` if nothing of what was saved meanwhile has to stay."""

        def checked(now: Job) -> Job:
            if now.attempt != job.attempt or now.lease is None:
                raise LeaseLost("the job was taken away")
            return edit(now)

        if unread and (revision := self._lanes.leased(job.account, job.id, job.attempt)) is not None:
            with suppress(Conflict):  # changed meanwhile: look
                return await self._save(edit(job), replaces=revision, told=told)
        rewritten = await self._rewrite(job.account, job.id, checked, told=told)
        if rewritten is None:
            raise LeaseLost("the job is gone")
        return rewritten

    async def _rewrite(
        self,
        account: str,
        id: str,  # noqa: A002
        edit: Callable[[Job], Job | None],
        *,
        told: bool = False,
    ) -> Job | None:
        while (document := await self._store.get(self._kind, account, id)) is not None:
            if (job := edit(job_in(document))) is None:
                return None
            with suppress(Conflict):  # changed meanwhile: look again
                return await self._save(job, replaces=document.revision, told=told)
        self._found(account, id, None)
        return None

    async def _save(self, job: Job, *, replaces: int, told: bool = False) -> Job:
        """Save and take in; the second is done also if the caller goes away meanwhile, for the first is done then too."""

        async def save() -> Job:
            saved, revision = await self._put(job, replaces=replaces)
            return self._took(saved, revision, told=told)

        return await _carried_out(save())

    async def _put(self, job: Job, *, replaces: int) -> tuple[Job, int]:
        """Save a job; return it as it was saved, and its revision."""
        data: Data = form_of(job)
        if self._dress is not None:
            data = self._dress(job.account, job.id, data)
        saved = await self._store.save(self._kind, job.account, job.id, data, replaces=replaces)
        return changed(job, data=data["data"]), saved.revision

    async def renew(self, account: str, id: str) -> None:  # noqa: A002
        """Save a job anew as it is, so that it is dressed as things are now; whoever works on it goes on."""
        while (document := await self._store.get(self._kind, account, id)) is not None:
            with suppress(Conflict):  # changed meanwhile: look again
                return await _carried_out(self._renew(document))
        return None

    async def _renew(self, document: Document) -> None:
        job = job_in(document)
        _, revision = await self._put(job, replaces=document.revision)
        # A lease that is in the document alone was left by a crash, which is counted when the job is claimed.
        self._lanes.put(self._as_leased(job), revision, now=self._now())
        self._news.set()

    async def _remove(self, document: Document) -> None:
        await self._store.remove(self._kind, document.account, document.id, replaces=document.revision)
        self._found(document.account, document.id, None)

    def _found(self, account: str, id: str, document: Document | None) -> None:  # noqa: A002
        if document is not None:
            self._took(job_in(document), document.revision)
        else:
            self._lanes.drop(account, id)
            self._news.set()

    def _took(self, job: Job, revision: int, *, told: bool = False) -> Job:
        self._lanes.put(job, revision, told=told, now=self._now())
        if job.lease is None:
            self._news.set()
        return job

    def _as_leased(self, job: Job) -> Job:
        """The job with its lease as it is known in memory, where alone its end is up to date."""
        lease = None if job.lease is None else self._lanes.lease(job.account, job.id)
        return changed(job, lease=lease if lease is not None and lease > self._clock() else None)


async def _carried_out(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what comes of it; it goes on if the caller goes away, and what it then raises is nobody's concern."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)
