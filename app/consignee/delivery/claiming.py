"""Whose the files of result sets are: noted in the store, so that it is never opened with the files of another, or without its
own."""

from typing import Final

from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import Conflict, StoreUnusable
from consignee.store import Document, Store

SPOOLS: Final = "spools"
"""One document, `own`: the id of the place that holds the store's files: as it is in a spool's file `owner`, or of a bucket."""
STAGED: Final = "staging-"
"""What the id of a bucket begins with."""


async def claim(files: ResultFiles, store: Store) -> None:
    """Make sure that the files are this store's, and note it; raises StoreUnusable, StoreError."""
    while True:
        kept = await store.get(SPOOLS, "", "own")
        if store.shared and kept is not None:
            await _require_here(files, store, kept.data["id"])
        claimed = await files.claim(await _owner(files, store, kept))
        if kept is not None and kept.data["id"] == claimed:
            return
        try:
            await store.save(SPOOLS, "", "own", {"id": claimed}, replaces=kept.revision if kept else 0)
        except Conflict:  # another process of the same store
            continue
        return


async def _require_here(files: ResultFiles, store: Store, known: str) -> None:
    """The last process may have been on another machine: what it accepted could not be delivered here."""
    if known.startswith(STAGED) or not await files.is_new() or not await store.accounts(RESULT_SETS):
        return
    raise StoreUnusable(
        f"the files of this store's result sets are not in {files.directory}: start this where they are, bring that directory"
        f" here, or keep them in a bucket, see [staging]; if they are lost, make the file owner in it, of one line: {known}"
    )


async def _owner(files: ResultFiles, store: Store, kept: Document | None) -> str | None:
    """A store without any result set may move from or to a bucket, and from one bucket to another."""
    known: str | None = kept.data["id"] if kept else None
    if known is None or (files.listed and not known.startswith(STAGED)):
        return known
    return known if await store.accounts(RESULT_SETS) else None
