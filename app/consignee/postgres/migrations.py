"""Brings the schema of a database up to date."""

from collections.abc import AsyncIterator
from typing import Final

from consignee.postgres.committing import Unknown, run_transaction
from consignee.postgres.database import Database
from consignee.postgres.failures import is_foreign, told, unknown
from consignee.postgres.schema import applied, migrations, require_not_newer
from consignee.postgres.session import Connection, Session
from consignee.secret import Secret

_LOCK: Final = 0x436F6E7369676E65
"""By which those who migrate at once take turns."""
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS consignee_migrations"
    " (number integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())"
)
_DONE: Final = "INSERT INTO consignee_migrations (number, name) VALUES ($1, $2)"


async def migrate(url: Secret, *, timeout: float = 10.0) -> list[str]:
    """Make the changes that the database does not have yet, each whole or not at all, and return their names.

    Whoever else does the same waits, and then finds nothing to do; a change may take its time. `timeout` is for the database
    to answer, in seconds. Raises StoreUnusable for a schema that is newer, StoreError: then repeat it.
    """
    database = Database(url, timeout=timeout, most=1)
    await database.open(_accept)
    try:
        session = await database.connected()
        try:
            return [name async for name in _made(session, database.name)]
        finally:
            await session.close()
    finally:
        await database.close()


async def _made(session: Session, name: str) -> AsyncIterator[str]:
    try:
        await session.raw.execute("SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        while made := await run_transaction(session, lambda connection: _next(connection, name)):
            yield made
    except Unknown:
        raise unknown(name) from None
    except Exception as error:
        if is_foreign(error):
            raise told(error, name) from None
        raise


async def _accept(connection: Connection, name: str) -> None:
    require_not_newer(await applied(connection), name)


async def _next(connection: Connection, name: str) -> str:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await connection.execute(_TABLE)
    has = await applied(connection)
    require_not_newer(has, name)
    for migration in migrations()[has:]:
        await connection.execute(migration.sql)
        await connection.execute(_DONE, migration.number, migration.name)
        return migration.name
    return ""
