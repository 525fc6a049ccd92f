"""The queue beyond one machine: unfinished jobs are rows of a PostgreSQL database, which any number of processes claim.

A claim is one short transaction, and so is each word about a job, which saves the job's document too; no transaction lasts
while a job is worked on. Those who claim take turns: what is leased of a lane or an account counts across all of them.
"""

import asyncio
import builtins
import json
import logging
import math
import random as chance
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from consignee.errors import Conflict, StoreError
from consignee.postgres import jobs as sql
from consignee.postgres.session import Connection, Record
from consignee.queue import AT_ONCE, Census, Change, Data, Job, LeaseLost, Queue
from consignee.queue.forms import changed, ended, form_of
from consignee.queue.hints import Hints, Presence
from consignee.queue.stored import LEASE
from consignee.store.postgres import PostgresStore
from consignee.store.rows import encoded, is_text

LOOK_EVERY: Final = 1.0
"""Seconds."""
_SOONEST: Final = 0.01
_LAST: Final = "\U0010ffff"
_ROW: Final = ("attempt", "crashes", "due", "lease")

log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """A job, with what differs after each change of it."""

    job: Job
    revision: int
    token: UUID | None


class PostgresQueue(Queue):
    """Keeps the jobs of one kind in a store's database.

    The time is the database's; `now` returns another one, in seconds since 1970. A lease lasts `lease` seconds. Of one account
    at most `of_account` jobs for each process that claims are under lease. No job is due more than `furthest` seconds ahead;
    one that seems to be was saved before the clock was set back. `dress` gets account, id and form of a job that is
    about to be saved, and returns the form that is. `worker` is whose attempts these are, `token` marks a write. A wait ends
    after `look_every` seconds, more or less: no hint is relied on.
    """

    def __init__(
        self,
        store: PostgresStore,
        kind: str,
        *,
        lease: float = LEASE,
        of_account: int | None = None,
        furthest: float = math.inf,
        dress: Callable[[str, str, Data], Data] | None = None,
        now: Callable[[], float] | None = None,
        worker: UUID | None = None,
        token: Callable[[], UUID] = uuid4,
        random: Callable[[], float] = chance.random,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._store = store
        self._database = store.database
        self._kind = kind
        self._lease = lease
        self._of_account = of_account
        self._furthest = furthest
        self._dress = dress
        self._now = now
        self._worker = worker or uuid4()
        self._token = token
        self._random = random
        self._look_every = look_every
        self._hints = Hints(self._database, kind, self._worker)
        self._presence = Presence(self._database, kind, self._worker, lease=lease)
        self._fails = False

    async def open(self) -> None:
        await self._database.write(sql.OPEN, self._kind, idempotent=True)
        if self._furthest < math.inf:
            await self._database.write(sql.NEARER, self._kind, self._furthest, self._at(), idempotent=True)
        self._hints.listen()
        self._hints.news.set()

    async def add(self, account: str, id: str, data: Data, *, lane: str, due: float | None) -> Job:  # noqa: A002
        job, text = self._dressed(Job(account=account, id=id, lane=lane, data=data, due=due), data)
        if not await self._say(sql.ADD, account, id, lane, due, text, self._token(), self._at()):
            raise Conflict("there is a job of that id")
        if due is not None:
            self._hints.tell()
        return job

    async def claim(self, limit: int, *, each: int) -> list[Job]:
        if limit < 1:
            return []  # and nothing was looked at, so that what is due is still news
        try:
            jobs = await self._claim(limit, each)
        except StoreError as error:
            if not self._fails:
                log.error("no jobs can be claimed: %s", error)
            self._fails = True
            return []
        if self._fails:
            log.warning("jobs can be claimed again")
        self._fails = False
        if len(jobs) == limit:
            self._hints.news.set()
        return jobs

    async def _claim(self, limit: int, each: int) -> list[Job]:
        at, token = self._at(), self._token()
        await self._presence.show(at)
        rows = await self._database.write(
            sql.CLAIM,
            *(self._kind, limit, each, self._of_account, self._worker, token, self._lease, at),
            check=lambda connection: self._claimed(connection, token),
        )
        return [_job(row["account"], row) for row in rows]

    async def _claimed(self, connection: Connection, token: UUID) -> list[Record]:
        await connection.execute(sql.TURN, self._kind)  # the claim that nobody knows of may still be under way
        return await connection.fetch(sql.CLAIMED, self._kind, token)

    async def extend(self, job: Job, data: Data | None = None) -> Job:
        at = self._at()
        await self._presence.show(at)
        given, text = self._dressed(job, data)
        said = (job.account, job.id, job.attempt, self._worker, text, self._lease, self._token(), at)
        rows = await self._database.write(sql.EXTEND, self._kind, *said, idempotent=True)
        if rows[0]["until"] is None:
            raise LeaseLost("the job was taken away")
        return changed(given, lease=rows[0]["until"])

    async def acknowledge(self, job: Job, data: Data) -> Job:
        return await self._end(changed(job, due=None), data, told=True)

    async def retry(self, job: Job, data: Data, *, due: float) -> Job:
        return await self._end(changed(job, due=due), data, told=True)

    async def release(self, job: Job, data: Data | None = None) -> Job:
        return await self._end(changed(job, due=AT_ONCE), data, told=False)

    async def _end(self, job: Job, data: Data | None, *, told: bool) -> Job:
        after, text = self._dressed(ended(job), data)
        said = (job.account, job.id, job.attempt, self._worker, text, job.due, told, self._token(), self._at())
        if not await self._say(sql.END, *said):
            raise LeaseLost("the job was taken away")
        if job.due == AT_ONCE:
            self._hints.tell()
        else:  # who waits elsewhere has places without this one
            self._hints.news.set()
        return after

    async def change(self, account: str, id: str, decide: Callable[[Job], Change | None]) -> Job | None:  # noqa: A002
        while (seen := await self._look(account, id)) is not None:
            if (change := decide(seen.job)) is None:
                return seen.job
            job, text = self._dressed(changed(ended(seen.job), due=change.due), change.data)
            about = (seen.revision, seen.token, job.lane, job.due, job.attempt, text, self._token(), self._at())
            if await self._say(sql.CHANGE, account, id, *about):
                self._hints.tell()
                return job
        return None

    async def renew(self, account: str, id: str) -> None:  # noqa: A002
        while (seen := await self._look(account, id)) is not None:
            _, text = self._dressed(seen.job, seen.job.data)
            token = self._token()
            if await self._database.write(
                sql.RENEW,
                *(self._kind, account, id, seen.revision, text, token),
                check=lambda connection, token=token: connection.fetch(  # type: ignore[misc]
                    sql.RENEWED, self._kind, account, id, token
                ),
            ):
                return

    async def remove(self, account: str, id: str) -> None:  # noqa: A002
        if is_text(account, id):
            await self._database.write(sql.REMOVE, self._kind, account, id, idempotent=True)
        self._hints.news.set()

    async def get(self, account: str, id: str) -> Job | None:  # noqa: A002
        seen = await self._look(account, id)
        return None if seen is None else seen.job

    async def list(self, account: str, *, prefix: str = "") -> list[Job]:
        rows = await self._asked(sql.LIST, account, self._at(), prefix, prefix + _LAST)
        return [_job(account, row) for row in rows]

    async def ids(self, account: str, *, prefix: str = "") -> builtins.list[str]:
        return await self._store.ids(self._kind, account, prefix=prefix)

    async def unfinished(self, account: str, *, prefix: str) -> bool:
        rows = await self._asked(sql.UNFINISHED, account, prefix, prefix + _LAST)
        return bool(rows and rows[0]["found"])

    async def census(self) -> Census:
        (row,) = await self._database.fetch(sql.CENSUS, self._kind, self._at())
        return Census(**row)

    async def hold(self, account: str, lane: str, until: float | None) -> None:
        await self._database.write(sql.HOLD, self._kind, account, lane, until, idempotent=True)
        self._hints.tell()

    async def wait(self, seconds: float) -> None:
        if not self._hints.news.is_set():
            pause = min(seconds, self._look_every * (0.75 + 0.5 * self._random()), await self._until_next())
            with suppress(TimeoutError):
                async with asyncio.timeout(max(_SOONEST, pause)):
                    await self._hints.news.wait()
        self._hints.news.clear()

    async def _until_next(self) -> float:
        try:
            rows = await self._database.fetch(sql.NEXT, self._kind, self._at())
        except StoreError:
            return self._look_every
        return self._look_every if rows[0]["pause"] is None else float(rows[0]["pause"])

    async def _look(self, account: str, id: str) -> _Seen | None:  # noqa: A002
        for row in await self._asked(sql.GET, account, self._at(), id):
            return _Seen(_job(account, row), row["revision"], row["token"])
        return None

    async def _asked(self, statement: str, *args: str | float | None) -> builtins.list[Record]:
        """Return the rows; what could not have been saved is not there."""
        if not is_text(*(one for one in args if isinstance(one, str))):
            return []
        return await self._database.fetch(statement, self._kind, *args)

    async def _say(self, statement: str, *args: Any) -> bool:
        rows = await self._database.write(statement, self._kind, *args, idempotent=True)
        return bool(rows[0]["done"])

    def _dressed(self, job: Job, data: Data | None) -> tuple[Job, str | None]:
        """Return the job with that data, as it is saved, and the text of its document; none if there is nothing to save."""
        if data is None:
            return job, None
        form: Data = form_of(changed(job, data=data))
        if self._dress is not None:
            form = self._dress(job.account, job.id, form)
        return changed(job, data=form["data"]), encoded(job.account, job.id, form)

    def _at(self) -> float | None:
        return None if self._now is None else self._now()


def _job(account: str, row: Record) -> Job:
    form = json.loads(row["data"])
    about = form["job"]
    if row["attempt"] is not None:  # unfinished: its document is as old as the last word about it
        about.update({name: row[name] for name in _ROW})
    return Job(account=account, id=row["id"], data=form["data"], **about)
