"""How things are, looked up when somebody asks."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from consignee import __version__
from consignee.delivery.herald import FAULT
from consignee.errors import StoreError
from consignee.metrics.catalogue import Requests, State
from consignee.metrics.hearing import Hearing
from consignee.queue import Census
from consignee.service import KIND as DESTINATIONS
from consignee.service import Destinations

_CODE: Final = 2
"""Where the code is in the labels of attempts; an account may be named like one."""


async def look(
    state: State,
    hearing: Hearing,
    requests: Requests,
    destinations: Destinations,
    *,
    now: Callable[[], float] = time.time,
) -> None:
    """Look at everything; others get their turn meanwhile. `now` returns seconds since 1970."""
    state.version.set(__version__, to=1)
    _faults(state, hearing, requests)
    _conditions(state, destinations)
    _places(state, destinations)
    _under_way(hearing, destinations)
    dispatch = destinations.dispatch
    for name, queue in (("deliveries", dispatch.deliveries), ("webhooks", dispatch.webhooks)):
        try:
            _queue(state, name, await queue.census(), now())
        except StoreError:  # what was known the last time would pass for what is
            _forget(state, name)
    _store(state, destinations)
    await _disk(state, destinations)


def _faults(state: State, hearing: Hearing, requests: Requests) -> None:
    attempts, answers = hearing.flow.attempts.numbers, requests.counts.numbers
    state.faults.numbers = {
        ("attempts",): sum(number for labels, number in list(attempts.items()) if labels[_CODE] == FAULT),
        ("requests",): sum(number for labels, number in list(answers.items()) if labels[-1] == "500"),
    }


def _store(state: State, destinations: Destinations) -> None:
    store = destinations.store
    sizes = store.sizes()
    state.documents.put({kind: size.documents for kind, size in sizes.items()})
    state.bytes.put({kind: size.bytes for kind, size in sizes.items()})
    state.commits.numbers[()] = store.commits
    state.writable.set(to=store.writable)
    if store.connections is not None:
        in_use, most = store.connections
        state.places.set("database", to=most)
        state.in_use.set("database", to=in_use)


def _conditions(state: State, destinations: Destinations) -> None:
    known = destinations.dispatch.conditions.states
    unwell = {name: known[name] for name in ("failing", "resting", "needs_attention")}
    well = {}
    if sizes := destinations.store.sizes():
        known_to_store = sizes[DESTINATIONS].documents if DESTINATIONS in sizes else 0
        well["ok"] = max(0, known_to_store - sum(unwell.values()))
    state.destinations.put({**well, **unwell})


def _places(state: State, destinations: Destinations) -> None:
    for name, places in (("tests", destinations.test_places), ("uploads", destinations.dispatch.courier.places)):
        state.places.set(name, to=places.most)
        state.in_use.set(name, to=places.in_use)


def _under_way(hearing: Hearing, destinations: Destinations) -> None:
    for tracking in destinations.dispatch.courier.under_way():
        arrived, job = tracking.arrived, tracking.job
        if arrived.files > 0:
            hearing.credit((job.account, job.id), tracking.destination_type or "", arrived.files, arrived.bytes)


def _queue(state: State, name: str, census: Census, now: float) -> None:
    for word in ("due", "under_way", "scheduled", "resting"):
        state.jobs.set(name, word, to=getattr(census, word))
    state.oldest.set(name, to=0 if census.oldest is None else max(0, now - census.oldest))


def _forget(state: State, name: str) -> None:
    for levels in (state.jobs, state.oldest):
        levels.numbers = {labels: number for labels, number in levels.numbers.items() if labels[0] != name}


async def _disk(state: State, destinations: Destinations) -> None:
    if (directory := destinations.dispatch.results.spool.directory) is None:
        return
    with suppress(OSError):
        usage = await asyncio.to_thread(shutil.disk_usage, directory)
        state.disk_free.set(to=usage.free)
        state.disk_size.set(to=usage.total)
