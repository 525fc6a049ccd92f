"""What a unit of work asks of the database: statements by what they do, and how often."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncpg

RESET: Final = "SELECT pg_stat_statements_reset()"
READ: Final = """
SELECT query, calls FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) AND toplevel
"""
CALLED: Final = re.compile(r"\b([a-z]+_(?:jobs?|attempt|lane|next|within))\(")
WRITTEN: Final = re.compile(r"\b(INSERT|UPDATE|DELETE) (?:INTO |FROM )?(documents)\b")
TOUCHED: Final = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+([a-z_]+)")
NOTIFIED: Final = "pg_notify"


def told(query: str) -> str:
    """Return what a statement does: a function of the schema, or a verb and a table: documents, or else the first one."""
    if NOTIFIED in query:
        return "NOTIFY"
    if called := CALLED.search(query):
        return f"{called[1]}()"
    if written := WRITTEN.search(query):
        return f"{written[1]} {written[2]}"
    verb = query.split(maxsplit=1)[0].upper()
    touched = TOUCHED.search(query)
    return f"{verb} {touched[1]}" if touched else verb


async def begin(connection: "asyncpg.Connection[Any]") -> None:
    """Count from now on."""
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute(RESET)


async def counted(connection: "asyncpg.Connection[Any]", database: str) -> Mapping[str, float]:
    """Return how often each was asked of a database."""
    found: dict[str, float] = {}
    for row in await connection.fetch(READ, database):
        name = told(row["query"])
        found[name] = found.get(name, 0.0) + row["calls"]
    return found
