"""A standby answers, but what it says is old, and a lock that is had there is nobody else's."""

import shutil
from collections.abc import Iterator

import pytest

from consignee.errors import StoreError
from consignee.postgres.database import Database
from consignee.postgres.holding import held
from consignee.secret import Secret
from postgres.cluster import Cluster, make_directory

from .endurance.nodes import Node


@pytest.fixture
def standby(cluster: Cluster) -> Iterator[Node]:
    """A copy of the server, which takes no writes."""
    node = Node(make_directory("consignee-standby-"))
    try:
        node.follow(cluster)
        yield node
    finally:
        node.kill()
        shutil.rmtree(node.directory)


async def test_it_is_not_taken_for_the_database_where_one_name_leads_to_it(
    cluster: Cluster, url: Secret, standby: Node
) -> None:
    """As that of a proxy may, after a change of servers; whoever wants that says so."""
    there = url.reveal().replace(f":{cluster.port}", f":{standby.port}")
    with pytest.raises(StoreError):
        await Database(Secret(there), timeout=0.3).open()
    wanted = Database(Secret(f"{there}?target_session_attrs=any"))
    await wanted.open()
    async with held(wanted, "cellar", patience=0):
        assert (await wanted.fetch("SELECT pg_is_in_recovery() AS old"))[0]["old"]
    await wanted.close()
