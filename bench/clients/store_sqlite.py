"""Creates in SQLite, WAL, synchronous=FULL: SIZE FILE COUNT WRITERS MOST, a commit for each MOST. Leaves the table as it was."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from measuring import measured, spread
from store_documents import DATA, LIMIT, accounts_of, place
from store_groups import Groups

INSERT = "INSERT INTO documents VALUES (?, ?, 1, ?)"
CREATE = """
    INSERT INTO documents SELECT ?1, ?2, 1, ?3 WHERE (SELECT count(*) FROM documents WHERE account = ?1) < ?4
    ON CONFLICT DO NOTHING
"""


def opened(file: Path) -> sqlite3.Connection:
    """Return the connection."""
    database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS documents (account TEXT, id TEXT, revision INTEGER, data TEXT, PRIMARY KEY (account, id))"
    )
    return database


async def main(size: int, file: Path, count: int, writers: int, most: int) -> None:
    """Create so many, with so many writers."""
    accounts, database = accounts_of(size), opened(file)

    def commit(numbers: Sequence[int]) -> None:
        database.execute("BEGIN")
        for number in numbers:  # one by one, for each is to be told if its id is taken, or its account full
            made = database.execute(CREATE, (*place(size + number, accounts), json.dumps(DATA), LIMIT))
            assert made.rowcount == 1
        database.execute("COMMIT")

    groups = Groups(commit, most=most)
    with measured() as meter:
        await spread(count, writers, groups.create)
    database.execute("BEGIN")
    keys = (place(size + number, accounts) for number in range(count))
    database.executemany("DELETE FROM documents WHERE account = ? AND id = ?", keys)
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    meter.report(count)


if __name__ == "__main__":
    numbers = [int(sys.argv[index]) for index in (1, 3, 4, 5)]
    asyncio.run(main(numbers[0], Path(sys.argv[2]), *numbers[1:]))
