"""Documents as rows of a database: what is written, and what is made of what is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from consignee.postgres import documents as sql
from consignee.postgres.job_rows import keep
from consignee.postgres.session import Connection, Record
from consignee.store import Data, Document
from consignee.store.index import judge, judge_limit
from consignee.store.record import encode_data

IS_JOB: Final = '{"job":%'
"""How the data of a job begins."""
_OF_A_JOB: Final = ("lane", "attempt", "crashes", "due", "lease")


class Done(Exception):
    """It was done before, when that was not known."""


class Doubtful(Exception):
    """Somebody changed the document after us, or in our stead."""


def is_text(*texts: str) -> bool:
    """Whether a database takes these: no NUL, no lone surrogate."""
    try:
        return b"\0" not in "".join(texts).encode()
    except UnicodeEncodeError:
        return False


def encoded(account: str, id: str, data: Data) -> str:  # noqa: A002
    """Return the data as JSON; raises ValueError or TypeError for what can't be kept."""
    if not is_text(account, id, text := encode_data(data)):
        raise ValueError("it holds a NUL where there can be none, or a lone surrogate")
    return text


def document_of(account: str, row: Record) -> Document:
    """Return the document in a row; what is known of an unfinished job is in columns of its own."""
    if row["lane"] is None:
        return Document.encoded(account, row["id"], row["revision"], b'{"data":%b}' % row["data"].encode())
    data = json.loads(row["data"])
    return Document(account, row["id"], row["revision"], {**data, "job": {name: row[name] for name in _OF_A_JOB}})


def job_of(data: Data) -> Mapping[str, Any] | None:
    """Return what the data says of a job, if it is that of one."""
    job = data.get("job")
    return job if next(iter(data), None) == "job" and isinstance(job, Mapping) and "lane" in job else None


@dataclass
class Saving:
    """One save, which may be tried several times; `token` marks what it wrote."""

    kind: str
    account: str
    id: str
    replaces: int
    text: str
    token: UUID
    limit: int | None
    is_first: bool
    """Whether it may be the first of its kind."""
    asked: bool = field(default=False, init=False)
    """Whether it was in doubt at some time."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Which document it is."""
        return self.kind, self.account, self.id

    def statement(self) -> tuple[Any, ...]:
        """Return what to run, with its arguments."""
        if self.replaces:
            return sql.UPDATE, *self.place, self.text, self.token, self.replaces
        if self.limit is not None:
            return sql.CREATE_WITHIN, *self.place, self.text, self.token, self.limit
        return sql.CREATE_FIRST if self.is_first else sql.CREATE, *self.place, self.text, self.token

    async def check(self, connection: Connection) -> list[Record]:
        """Return the row if it was written."""
        self.asked = True
        return await connection.fetch(sql.OURS, *self.place, self.token)

    async def run(self, connection: Connection, *, job: Mapping[str, Any]) -> None:
        """Save in a transaction, with what goes with it; raises Conflict, LimitReached, Doubtful, and Done."""
        await keep(connection, *self.place, job)
        if not self.done(await connection.fetch(*self.statement())):
            self.judge(await connection.fetch(sql.WRITTEN, *self.place))
            raise Done

    def done(self, rows: list[Record]) -> bool:
        """Whether the statement, or the check, says that it was saved; raises LimitReached."""
        said = rows[0].get("said") if rows else "there"
        if said == "full":
            judge_limit(self.limit or 0, self.limit)
        return said != "there"

    def judge(self, rows: list[Record]) -> None:
        """Return if the row is ours all the same; raises Conflict, and Doubtful if nobody can tell."""
        if rows and rows[0]["written"] == self.token:
            return
        revision = rows[0]["revision"] if rows else 0
        if self.asked and revision > self.replaces + 1:  # what has the next one would be ours
            raise Doubtful
        judge(revision, replaces=self.replaces)
        judge(-2, replaces=self.replaces)  # it was as expected again a moment later
