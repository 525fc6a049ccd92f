"""What is asked when documents are copied from one store to another, in SQL."""

from typing import Final

BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0"
LOCK: Final = "LOCK TABLE documents, jobs IN SHARE MODE"
"""What is read comes after it, and sees all that was committed before."""
OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'consignee' AND pid <> pg_backend_pid()
"""

PLACES: Final = """
SELECT DISTINCT kind, account FROM documents WHERE kind <> ALL ($1::text[]) ORDER BY kind, account
"""
ANYTHING: Final = "SELECT FROM documents WHERE kind <> ALL ($1::text[]) LIMIT 1"
DECLARE: Final = """
DECLARE {} NO SCROLL CURSOR FOR
SELECT d.id, d.revision, d.data, j.lane, j.attempt, j.crashes, j.due, j.lease
FROM documents d LEFT JOIN jobs j USING (kind, account, id) WHERE kind = $1 AND account = $2 ORDER BY d.number
"""
FETCH: Final = "FETCH {1} FROM {0}"
CLOSE: Final = "CLOSE {}"

BEHIND: Final = "SELECT id FROM documents WHERE kind = $1 AND account = $2 ORDER BY number OFFSET $3"
DROP_JOBS: Final = "DELETE FROM jobs WHERE kind = $1 AND account = $2 AND id = ANY ($3::text[])"
DROP: Final = "DELETE FROM documents WHERE kind = $1 AND account = $2 AND id = ANY ($3::text[])"

KIND: Final = "INSERT INTO kinds (kind) VALUES ($1) ON CONFLICT DO NOTHING"
WRITTEN: Final = "SELECT FROM documents WHERE kind = $1 AND account = $2 AND id = $3 AND written = $4 FOR UPDATE"
JOBS: Final = """
SELECT keep_job($1, account, id, lane, due, attempt, crashes, lease)
FROM unnest($2::text[], $3::text[], $4::text[], $5::float8[], $6::integer[], $7::integer[], $8::float8[])
    AS one (account, id, lane, due, attempt, crashes, lease)
"""
INSERT: Final = """
INSERT INTO documents (kind, account, id, revision, data, written)
SELECT $1, account, id, revision, data, $6
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) WITH ORDINALITY
    AS one (account, id, revision, data, place) ORDER BY place
"""
