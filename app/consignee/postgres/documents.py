"""What is asked about documents, in SQL. A beginning of ids is a range of them, for they are compared byte by byte."""

import sys
from typing import Final

# OFFSET keeps it a look by the key, for each document: where nothing was analysed yet, a join would read all jobs there are.
_ROW: Final = (
    "SELECT d.id, d.revision, d.data, j.* FROM documents d LEFT JOIN LATERAL (SELECT lane, attempt, crashes, due, lease"
    " FROM jobs WHERE kind = $1 AND account = $2 AND id = d.id OFFSET 0) AS j ON true"
)
_OF: Final = " WHERE kind = $1 AND account = $2"
_ONE: Final = f"{_OF} AND id = $3"

KINDS: Final = "SELECT kind FROM kinds"
ACCOUNTS: Final = """
WITH RECURSIVE found (account) AS (
    (SELECT account FROM documents WHERE kind = $1 ORDER BY account LIMIT 1)
    UNION ALL
    SELECT (SELECT d.account FROM documents d WHERE d.kind = $1 AND d.account > found.account ORDER BY d.account LIMIT 1)
    FROM found WHERE found.account IS NOT NULL
)
SELECT account FROM found WHERE account IS NOT NULL
"""
GET: Final = _ROW + _ONE
REVISION: Final = f"SELECT revision FROM documents{_ONE}"
WRITTEN: Final = f"SELECT revision, written FROM documents{_ONE}"
COUNT: Final = f"SELECT count(*) FROM documents{_OF}"
LIST: Final = _ROW + _OF
IN_ORDER: Final = "SELECT number, account, id FROM documents WHERE kind = $1 AND number > $2 ORDER BY number LIMIT $3"
IDS: Final = f"SELECT id, revision FROM documents d{_OF}"

_INSERT: Final = (
    "INSERT INTO documents (kind, account, id, revision, data, written) VALUES ($1, $2, $3, 1, $4, $5)"
    " ON CONFLICT DO NOTHING RETURNING revision"
)
# What is saved without a limit takes away the room that was counted for those with one.
_SPENT: Final = "UPDATE limits SET room = 0 WHERE kind = $1 AND account = $2 AND room > 0"
CREATE: Final = f"WITH spent AS ({_SPENT}) {_INSERT}"
CREATE_FIRST: Final = (
    f"WITH saved AS ({_INSERT}), known AS (INSERT INTO kinds (kind) SELECT $1 FROM saved ON CONFLICT DO NOTHING),"
    f" spent AS ({_SPENT}) SELECT revision FROM saved"
)
CREATE_WITHIN: Final = "SELECT save_within($1, $2, $3, $4, $5, $6) AS said"
UPDATE: Final = (
    f"UPDATE documents SET revision = revision + 1, data = $4, written = $5{_ONE} AND revision = $6 RETURNING revision"
)
OURS: Final = f"SELECT revision FROM documents{_ONE} AND written = $4 FOR UPDATE"
"""Whether what was written with a token is there: waits for whoever is at it still."""

REMOVE: Final = f"DELETE FROM documents{_ONE} AND revision = $4 RETURNING revision"
REMOVE_PLAIN: Final = f"DELETE FROM documents{_ONE} AND revision = $4 AND data NOT LIKE $5 RETURNING revision"
LEFT: Final = f"SELECT revision FROM documents{_ONE} FOR UPDATE"
"""What is left of a document: waits for whoever is removing it."""


def ranged(select: str, prefix: str) -> tuple[str, list[str]]:
    """Return a statement for those whose id begins so, in the order of their first saves, and its further arguments."""
    if not prefix:
        return f"{select} ORDER BY d.number", []
    if (end := _after(prefix)) is None:
        return f"{select} AND id >= $3 ORDER BY d.number", [prefix]
    return f"{select} AND id >= $3 AND id < $4 ORDER BY d.number", [prefix, end]


def _after(prefix: str) -> str | None:
    """Return what is just beyond everything that begins so; None if nothing is."""
    begin = prefix.rstrip(chr(sys.maxunicode))
    if not begin:
        return None
    following = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no characters
