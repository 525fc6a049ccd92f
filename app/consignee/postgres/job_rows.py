"""The rows of unfinished jobs, for whoever writes a job's document past its queue."""

from collections.abc import Mapping
from typing import Any, Final

from consignee.postgres.session import Connection

_KEEP: Final = "SELECT keep_job($1, $2, $3, $4, $5, $6, $7, $8)"
_DROP: Final = "DELETE FROM jobs WHERE kind = $1 AND account = $2 AND id = $3"


async def keep(
    connection: Connection,
    kind: str,
    account: str,
    id: str,  # noqa: A002
    job: Mapping[str, Any] | None,
) -> None:
    """Have the row in `jobs` as `job` says, which stands beside the data of the document; None: the document is removed.

    Whoever works on it goes on if it is leased, and the attempt is the same. To be called in the transaction that writes the
    document, and before that is written, as a queue does it too: else two of them may wait for each other.
    """
    if job is None or job["due"] is None:
        await connection.execute(_DROP, kind, account, id)
        return
    about = (job["lane"], float(job["due"]), job["attempt"], job["crashes"], job["lease"])
    await connection.execute(_KEEP, kind, account, id, *about)
