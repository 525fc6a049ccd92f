"""Which queue goes with which store."""

from collections.abc import Callable

from consignee.queue import Data, Queue
from consignee.queue.stored import StoredQueue
from consignee.store import Store


def queue_on(
    store: Store,
    kind: str,
    *,
    now: Callable[[], float],
    lease: float,
    clock: Callable[[], float] | None,
    of_account: int,
    furthest: float,
    dress: Callable[[str, str, Data], Data] | None,
) -> Queue:
    """Return the queue of that kind, not open yet. On a database the time is that of the database, which nobody sets back."""
    if store.shared:
        from consignee.queue.postgres import PostgresQueue
        from consignee.store.postgres import PostgresStore

        if isinstance(store, PostgresStore):
            return PostgresQueue(store, kind, lease=lease, of_account=of_account, furthest=furthest, dress=dress)
    return StoredQueue(
        store,
        kind,
        now=now,
        lease=lease,
        clock=clock,
        of_account=of_account,
        furthest=furthest,
        dress=dress,
    )
