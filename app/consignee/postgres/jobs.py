"""What the queue asks PostgreSQL. What a function does is told where it is made, in consignee/postgres/sql."""

from typing import Final

_PLACE: Final = "kind = $1 AND account = $2 AND id = $3"
_JOB: Final = """
SELECT d.id, d.revision, d.data, j.lane, j.due, j.attempt, j.crashes, j.token,
    CASE WHEN j.lease > moment($3) THEN j.lease END AS lease
FROM documents d LEFT JOIN LATERAL (
    SELECT * FROM jobs WHERE kind = $1 AND account = $2 AND id = d.id OFFSET 0
) AS j ON true WHERE d.kind = $1 AND d.account = $2
"""
_CLAIMED: Final = "account, id, attempt, crashes, due, lease, data"

OPEN: Final = "INSERT INTO turns (kind) VALUES ($1) ON CONFLICT DO NOTHING"
NEARER: Final = """
WITH latest AS (SELECT moment($3) + $2::double precision AS due),
late AS (
    UPDATE jobs SET due = latest.due, turn = latest.due FROM latest WHERE kind = $1 AND jobs.due > latest.due
    RETURNING account, lane
)
SELECT wake_lane($1, account, lane, latest.due) FROM (SELECT DISTINCT account, lane FROM late) AS lanes, latest
"""
ADD: Final = "SELECT add_job($1, $2, $3, $4, $5, $6, $7, $8) AS done"
TURN: Final = "SELECT FROM turns WHERE kind = $1 FOR UPDATE"
CLAIM: Final = f"SELECT {_CLAIMED} FROM claim_jobs($1, $2, $3, $4, $5, $6, $7, $8)"
CLAIMED: Final = f"""
SELECT {_CLAIMED} FROM jobs CROSS JOIN LATERAL (
    SELECT data FROM documents WHERE kind = $1 AND account = jobs.account AND id = jobs.id OFFSET 0
) AS its_document WHERE kind = $1 AND NOT waiting AND token = $2
"""
END: Final = "SELECT end_attempt($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS done"
EXTEND: Final = "SELECT extend_job($1, $2, $3, $4, $5, $6, $7, $8, $9) AS until"
CHANGE: Final = "SELECT change_job($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS done"
RENEW: Final = f"""
UPDATE documents SET data = $5, revision = revision + 1, written = $6 WHERE {_PLACE} AND revision = $4 RETURNING true AS done
"""
RENEWED: Final = f"SELECT true AS done FROM documents WHERE {_PLACE} AND written = $4"
# The row of the job goes first, as it does whenever both change: else two of them may wait for each other.
REMOVE: Final = (
    f"WITH gone AS (DELETE FROM jobs WHERE {_PLACE} RETURNING id)"
    f" DELETE FROM documents WHERE {_PLACE} AND (SELECT count(*) FROM gone) >= 0"
)
HOLD: Final = "SELECT hold_lane($1, $2, $3, $4)"

GET: Final = f"{_JOB} AND d.id = $4"
LIST: Final = f"{_JOB} AND d.id >= $4 AND d.id < $5 ORDER BY d.number"
UNFINISHED: Final = """
SELECT EXISTS (SELECT FROM jobs WHERE kind = $1 AND account = $2 AND id >= $3 AND id < $4) AS found
"""
NEXT: Final = "SELECT until_next($1, $2) AS pause"
CENSUS: Final = """
SELECT count(*) FILTER (WHERE NOT waiting) AS under_way,
    count(*) FILTER (WHERE waiting AND due > now) AS scheduled,
    count(*) FILTER (WHERE waiting AND due <= now AND hold IS NOT NULL) AS resting,
    count(*) FILTER (WHERE waiting AND due <= now AND hold IS NULL) AS due,
    min(turn) FILTER (WHERE waiting AND due <= now AND hold IS NULL) AS oldest
FROM (SELECT moment($2) AS now) AS clock CROSS JOIN jobs
LEFT JOIN (SELECT account, lane, hold FROM lanes WHERE kind = $1 AND hold IS NOT NULL) AS held USING (account, lane)
WHERE kind = $1
"""

SHOW: Final = """
WITH gone AS (DELETE FROM workers WHERE kind = $1 AND seen < moment($3) - 1000 * $4::double precision)
INSERT INTO workers (kind, worker, seen) VALUES ($1, $2, moment($3))
ON CONFLICT (kind, worker) DO UPDATE SET seen = excluded.seen
"""
TELL: Final = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"
