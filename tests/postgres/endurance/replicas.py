"""Three PostgreSQL servers of which one takes writes, and acknowledges none before one of the others has it (`ANY 1`)."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from consignee.secret import Secret
from postgres.cluster import PASSWORD, ROLE, make_directory

from .nodes import Node, until

NAMES = ("north", "east", "south")
# Standbys by name: a program that copies the primary with a slot reports what it has as a standby does, and `*` would count it.
_SETTINGS = {
    "synchronous_standby_names": f"ANY 1 ({', '.join(NAMES)})",
    "wal_keep_size": "1GB",
    "wal_retrieve_retry_interval": "100ms",
    "wal_receiver_status_interval": "1s",
}


class Replicas:
    """The three; `primary` takes writes. One that was killed for good is made anew in its place, as a copy of the next."""

    def __init__(self, *, fsync: bool) -> None:
        own = {**_SETTINGS, "fsync": "on" if fsync else "off", "full_page_writes": "on"}
        self.nodes = [Node(make_directory(f"consignee-{name}-"), settings=own) for name in NAMES]
        for name, node in zip(NAMES, self.nodes, strict=True):
            node.settings |= {"cluster_name": name, "primary_conninfo": _conninfo(self.nodes)}
        self.primary = self.nodes[0]

    def start(self) -> None:
        """Make the three, and the service's role."""
        self.primary.initialise()
        self.primary.start()
        for node in self.nodes[1:]:
            node.follow(self.primary)
        until(lambda: self.primary.followers == 2, "the standbys do not follow")
        self.primary.prepare()

    def create(self, name: str) -> Secret:
        """Make a database that is the role's, and return its URL, which leads to whichever server takes writes."""
        self.primary.create(name)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return Secret(f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@{hosts}/{name}?target_session_attrs=read-write")

    def kill_primary(self) -> Node:
        """End it for good, and return what is no more: its directory is gone too."""
        self.primary.destroy()
        return self.primary

    def promote(self, dead: Node) -> None:
        """Let the standby take over that has most; returns once it takes writes.

        What was acknowledged, one of them has, and so the one that has got furthest. They must have noticed first that
        nothing more will come: the other one could get further yet, and then not follow.
        """
        standbys = [node for node in self.nodes if node is not dead]
        for node in standbys:
            until(lambda node=node: node.is_cut_off, "a standby still hears from the dead")  # type: ignore[misc]
        self.primary = max(standbys, key=lambda node: node.received)
        self.primary.promote()

    def replace(self, dead: Node) -> None:
        """Make a new standby in the place of one that is no more; returns once it follows."""
        dead.follow(self.primary)
        until(lambda: self.primary.followers == 2, "the standbys do not follow")

    def stop(self) -> None:
        """End them and remove all of it."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            shutil.rmtree(node.directory, ignore_errors=True)  # after a failure, a copy may still be going on there


def _conninfo(nodes: Sequence[Node]) -> str:
    """Where a standby finds the one that takes writes: whichever of them that is, itself excepted by its nature."""
    hosts, ports = ",".join(str(node.directory) for node in nodes), ",".join(str(node.port) for node in nodes)
    return f"host={hosts} port={ports} user=postgres target_session_attrs=read-write connect_timeout=5"


@contextmanager
def replicas(*, fsync: bool = False) -> Iterator[Replicas]:
    """Run the three in temporary directories; they end with it."""
    three = Replicas(fsync=fsync)
    try:
        three.start()
        yield three
    finally:
        three.stop()
