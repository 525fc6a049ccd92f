"""A PostgreSQL server that runs beside others like it: copied from one of them, following it, and promoted."""

import shutil
import time
from collections.abc import Callable

from postgres.cluster import Cluster

_WAIT_SECONDS = 60.0
_PAUSE = 0.02


class Node(Cluster):
    """A server that can be made anew, as a copy of another, in its place and on its port."""

    def follow(self, primary: Cluster) -> None:
        """Become a copy of a running server, and follow whichever the settings say."""
        source = ("-h", str(primary.directory), "-p", str(primary.port), "-U", "postgres")
        self._run("pg_basebackup", "-D", str(self.data), *source, "-c", "fast", "-X", "stream", "--no-sync")
        (self.data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Make a standby take writes; returns once it does."""
        if self.sql("SELECT pg_promote(true, 60)") != "t":
            raise RuntimeError("it was not promoted")

    @property
    def received(self) -> int:
        """How far in the primary's log a standby has got: what it has is safe with it."""
        return int(self.sql("SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn"))

    @property
    def is_cut_off(self) -> bool:
        """Whether a standby hears from no primary."""
        return self.sql("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "0"

    @property
    def followers(self) -> int:
        """How many standbys could acknowledge a commit."""
        return int(self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"))

    def destroy(self) -> None:
        """Kill it and remove all that it knew."""
        self.kill()
        shutil.rmtree(self.data)


def until(holds: Callable[[], bool], complaint: str) -> None:
    """Return once it holds; raises RuntimeError with the complaint if it does not come to that."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(_PAUSE)
