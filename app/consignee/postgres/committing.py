"""One transaction on one connection, and the doubt that is left when the connection is lost in its last moment."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from consignee.errors import StoreError
from consignee.postgres.failures import is_certain
from consignee.postgres.session import Connection, Record, Session

_T = TypeVar("_T")
Work = Callable[[Connection], Awaitable[_T]]
Check = Callable[[Connection], Awaitable[list[Record]]]
Attempt = Callable[[Session], Awaitable[_T]]

_TOUCH: Final = "SELECT number FROM consignee_migrations WHERE number = 1 FOR SHARE"


class Unknown(Exception):
    """Whether it was committed is not known; `answer` makes what to return of what a check found, if it was."""

    def __init__(self, answer: Callable[[list[Record]], Any]) -> None:
        super().__init__()
        self.answer = answer


async def run_statement(session: Session, sql: str, *args: Any) -> list[Record]:
    """Return the rows of a statement that commits by itself; raises Unknown, and what the driver raises."""
    session.warned = False
    try:
        rows: list[Record] = await session.raw.fetch(sql, *args)
    except Exception as error:
        if is_certain(session.cause(error)):
            raise
        raise Unknown(lambda rows: rows) from None
    if session.warned:
        raise Unknown(lambda rows: rows)
    return rows


async def run_transaction(session: Session, work: Work[_T]) -> _T:
    """Return what the work returns, committed; raises Unknown, and what the work and the driver raise."""
    await session.raw.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    try:
        result = await work(session.raw)
    except BaseException:
        with suppress(Exception):
            await session.raw.execute("ROLLBACK")
        raise
    await _commit(session, lambda _: result)
    return result


async def _commit(session: Session, answer: Callable[[list[Record]], Any]) -> None:
    session.warned = False
    try:
        status = await session.raw.execute("COMMIT")
    except Exception as error:
        if is_certain(session.cause(error)):
            raise
        raise Unknown(answer) from None
    if status != "COMMIT":  # an error that was swallowed had undone it all
        raise StoreError("a transaction was rolled back where it should have been committed")
    if session.warned:
        raise Unknown(answer)


def checking(check: Check) -> Attempt[list[Record]]:
    """Return an attempt to find out what a check finds.

    It writes something first, so that its own commit waits for the standby: what it sees may be there and not yet safe.
    """

    async def look(connection: Connection) -> list[Record]:
        await connection.execute(_TOUCH)
        return await check(connection)

    async def attempt(session: Session) -> list[Record]:
        return await run_transaction(session, look)

    return attempt
