"""The contract of a queue: subclass, and give the fixtures `clock`, `queue` and `reopen`.

`queue` is open and empty, its leases last LEASE seconds, and its `now` is the clock. `reopen` is called when the process that
had the queue is no more, and opens another one over the same jobs.
"""

from queues.fences import FenceContract
from queues.holds import HoldContract
from queues.outcomes import OutcomeContract
from queues.turns import TurnContract
from queues.waits import WaitContract


class QueueContract(OutcomeContract, FenceContract, TurnContract, HoldContract, WaitContract):
    """Holds for every implementation."""
