"""The numbered changes that make the schema, and what of them a database has."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consignee.errors import StoreUnusable
from consignee.postgres.session import Connection

log = logging.getLogger(__name__)

_FILES: Final = Path(__file__).with_name("sql")
_NAME: Final = re.compile(r"([0-9]{4})_[a-z_]+")
_THERE: Final = "SELECT to_regclass('consignee_migrations') IS NOT NULL"
APPLIED: Final = "SELECT coalesce(max(number), 0) FROM consignee_migrations"


@dataclass(frozen=True)
class Migration:
    """One change of the schema: a file of statements."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return all that this version knows, in order."""
    found = [Migration(int(path.stem[:4]), path.stem, path.read_text()) for path in sorted(_FILES.glob("*.sql"))]
    assert [one.number for one in found] == list(range(1, len(found) + 1)), "their numbers leave none out"
    assert all(_NAME.fullmatch(one.name) for one in found)
    return found


async def applied(connection: Connection) -> int:
    """Return the number of the last change that a database has; 0 for a new one."""
    return int(await connection.fetchval(APPLIED)) if await connection.fetchval(_THERE) else 0


async def require_schema(connection: Connection, name: str) -> None:
    """Raise StoreUnusable unless the database has just the changes that this version knows; warn if it may forget."""
    has, known = await applied(connection), len(migrations())
    if has < known:
        missing = "has no schema yet" if has == 0 else f"has the schema of an older version ({has}, not {known})"
        raise StoreUnusable(f"the database at {name} {missing}: run consignee migrate")
    require_not_newer(has, name)
    await _warn(connection, name)


def require_not_newer(has: int, name: str) -> None:
    """Raise StoreUnusable if the database has changes that this version does not know."""
    if has > (known := len(migrations())):
        raise StoreUnusable(
            f"the database at {name} has the schema of a newer version of consignee ({has}, not {known}): start that version"
        )


async def _warn(connection: Connection, name: str) -> None:
    for setting, lost in (("synchronous_commit", "what was accepted"), ("fsync", "everything")):
        if await connection.fetchval("SELECT current_setting($1)", setting) == "off":
            log.warning("%s is off at the database at %s: a power cut may lose %s", setting, name, lost)
