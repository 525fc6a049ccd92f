"""What a unit of work asks of the database: statements by what they do, how often, and how long they take there."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncpg

RESET: Final = "SELECT pg_stat_statements_reset()"
READ: Final = """
SELECT query, calls, total_exec_time AS ms FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) AND toplevel
"""
CALLED: Final = re.compile(r"\b([a-z]+_(?:jobs?|attempt|lane|next))\(")
TOUCHED: Final = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+([a-z_]+)")
NOTIFIED: Final = "pg_notify"


def told(query: str) -> str:
    """Return what a statement does: a function of the schema, or a verb and the first table."""
    if NOTIFIED in query:
        return "NOTIFY"
    if called := CALLED.search(query):
        return f"{called[1]}()"
    verb = query.split(maxsplit=1)[0].upper()
    touched = TOUCHED.search(query)
    return f"{verb} {touched[1]}" if touched else verb


async def begin(connection: "asyncpg.Connection[Any]") -> None:
    """Count from now on."""
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute(RESET)


async def counted(connection: "asyncpg.Connection[Any]", database: str) -> Mapping[str, tuple[float, float]]:
    """Return how often each was asked of a database, and the milliseconds of all of it."""
    found: dict[str, tuple[float, float]] = {}
    for row in await connection.fetch(READ, database):
        calls, ms = found.get(name := told(row["query"]), (0.0, 0.0))
        found[name] = calls + row["calls"], ms + row["ms"]
    return found
