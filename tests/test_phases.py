"""Who asked for it is told what a request waits for, and nobody else."""

import asyncio
import socket

import pytest

from consignee import phases
from consignee.outlets import open_outlets
from consignee.phases import Telling, Trace
from consignee.providers import s3
from fakes import hostile
from fakes.resolver import FixedResolver
from providers.opening import loopback


async def test_a_name_that_is_not_found_leaves_resolving_under_way() -> None:
    """So that a test can say which of its steps failed."""
    trace = Trace()
    phases.watch(trace)
    with pytest.raises(socket.gaierror):
        await Telling(FixedResolver()).resolve("nowhere.example")
    assert trace.current == "resolve"


async def test_the_next_request_of_a_task_tells_its_own_trace_or_nobody() -> None:
    """What was watched before is over, also if a connection is opened again."""
    seen, provider = Trace(), s3.PROVIDER
    async with hostile.accepting() as first, hostile.accepting() as second, open_outlets(loopback()) as outlets:
        await outlets.transport(provider, seen).send("DELETE", f"{first.url}/a", headers={})
        told = dict(seen.spent)
        await outlets.transport(provider).send("DELETE", f"{second.url}/a", headers={})
    assert told.keys() == {"connect"}
    assert seen.spent == told
    assert seen.current is None


async def test_two_tasks_each_tell_their_own_trace() -> None:
    traces, provider = [Trace(), Trace()], s3.PROVIDER
    async with hostile.accepting() as server, open_outlets(loopback()) as outlets:
        await asyncio.gather(
            *(outlets.transport(provider, trace).send("DELETE", f"{server.url}/a", headers={}) for trace in traces)
        )
    assert [trace.spent.keys() for trace in traces] == [{"connect"}, {"connect"}]


async def test_a_telling_resolver_closes_the_one_that_it_asks() -> None:
    inner = FixedResolver()
    await Telling(inner).close()
    assert inner.closed
