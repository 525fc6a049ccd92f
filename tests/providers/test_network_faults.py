"""Whatever goes wrong on the network, at each request of each operation of each destination type, and of a webhook.

An operation fails in time and by its right name, or succeeds if it may; it repeats no secret, leaves no task, connection or file
descriptor behind, and the next one works, on a connection of its own.
"""

import asyncio
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext
from typing import Final

import pytest

from consignee.body import BytesBody
from consignee.errors import ProviderFailure
from consignee.outlets import open_outlets
from consignee.providers import Bucket, discover
from consignee.settings import Settings
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Parts, Transport
from fakes.certificates import Authority
from fakes.faults import DONE, FAULTS, Fault, untrusted
from fakes.line import Line, Switchboard, switchboard
from fakes.obliging import SESSION, TOKEN, obliging
from providers.kinds import KINDS, Kind
from providers.opening import draft_of

LIMITS: Final = (0.3, 1.0, 5.0)
"""Seconds without progress that a request gets where it is to hang, at the first try and later; else it gets LONG."""
NOT_MET: Final = "the fault was not met"
LONG: Final = 60.0
AT_ONCE: Final = 24
EVERY: Final = os.environ.get("NETWORK_FAULTS") == "all"
SMALL: Final = BytesBody(b"small")
LARGE: Final = BytesBody(bytes(250))
HUGE: Final = BytesBody(bytes(8 * 1024 * 1024))
"""More than what lies between both ends of a connection can hold."""
TRANSIENT: Final = {"timeout", "endpoint_unreachable", "provider_error"}
SIGNED: Final = {"put": ("put",), "delete": ("delete",), "large": ("begin", "part", "complete"), "read": ("read",)}
READ: Final = 5000
"""Bytes that are asked for where some are read."""
OPERATIONS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    **dict.fromkeys(("s3", "s3compatible", "gcs by HMAC", "oss"), SIGNED),
    "azure": {"put": ("put",), "delete": ("delete",), "large": ("part", "complete"), "read": ("read",)},
    "gcs by account": {
        "put": ("token", "put"),
        "delete": ("token", "delete"),
        "large": ("token", "begin", "part"),
        "read": ("token", "read"),
    },
}
"""The operations of each kind of destination, each with its requests in their order."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault, at one request of one operation; `number` counts the requests from 1."""

    fault: Fault
    name: str
    operation: str
    stage: str
    number: int

    @property
    def title(self) -> str:
        """What the case is called in a report."""
        return f"{self.operation}, {self.stage}: {self.name}"

    @property
    def body(self) -> BytesBody:
        """What is sent."""
        if self.fault.upload:
            return HUGE
        return LARGE if self.operation == "large" else SMALL

    @property
    def parts(self) -> Parts:
        """How it is sent: all that is large in one part, one after the other, and once."""
        threshold = 100 if self.operation == "large" else 2 * HUGE.length
        return Parts(threshold=threshold, size=HUGE.length, at_once=1, tries=1, pause=0.0)


def cases(operations: Mapping[str, Sequence[str]], faults: Mapping[str, Fault]) -> list[Case]:
    """Return each fault at each request; those of an upload only where there is one."""
    return [
        Case(fault=fault, name=name, operation=operation, stage=stage, number=number)
        for operation, stages in operations.items()
        for number, stage in enumerate(stages, start=1)
        for name, fault in faults.items()
        if not fault.upload or stage in ("put", "part")
    ]


class Spoiled:
    """Serves the requests before the one in question, spoils that one and those after it, until it is `mended`."""

    def __init__(self, case: Case, tls: SSLContext, limit: float) -> None:
        self.hits = 0
        self._limit = limit
        self.transport: Transport | None = None
        self.mended = False
        self._case = case
        self._tls = tls if case.fault.tls else None
        self.scheme = "https" if case.fault.tls else "http"

    async def play(self, line: Line, number: int) -> None:
        """Play with one connection: each brings one request, so that they can be counted."""
        line.tls = self._tls
        if number >= self._case.number and not self.mended:
            self.hits += 1
            await self._case.fault.play(line)
            return
        await line.open()
        answer = obliging(await line.request(), scheme=self.scheme)
        self.hurry(number + 1)
        await line.say(replace(answer, headers={**answer.headers, "Connection": "close"}).encode())
        await line.hang_up()

    def hurry(self, number: int) -> None:
        """Give the request with that number little time, if that is what it is for."""
        assert self.transport is not None
        hurried = self._case.fault.hangs and number == self._case.number and not self.mended
        self.transport._idle = self._limit if hurried else LONG


def trusting(settings: Settings, trusted: Path) -> Settings:
    """Return them with that authority, which is trusted."""
    return replace(settings, egress=replace(settings.egress, ca_file=str(trusted)))


async def judged(case: Case, kind: Kind, ca: Authority, tls: SSLContext) -> str | None:
    """Run a case; return what was not as it must be. Where its time is over before the fault is met, it gets more."""
    found: str | None = NOT_MET
    for limit in LIMITS:
        if found == NOT_MET:
            found = await judged_once(case, kind, ca, Spoiled(case, tls, limit))
    return found


async def judged_once(case: Case, kind: Kind, ca: Authority, spoiled: Spoiled) -> str | None:
    """Run a case; return what was not as it must be."""
    async with switchboard(spoiled.play) as board:
        url = f"{spoiled.scheme}://127.0.0.1:{board.port}"
        settings = trusting(kind.settings_at(url), ca.pem)
        draft = draft_of(kind.provider, kind.fields_at(url), settings)
        async with open_outlets(settings) as outlets:
            transport = outlets.transport(kind.provider)
            transport.parts, spoiled.transport = case.parts, transport
            spoiled.hurry(1)
            async with kind.provider.open(draft, {}, transport) as bucket:
                wrong = await asked(case, bucket, kind)
                if wrong or not spoiled.hits:
                    return wrong or NOT_MET
                if not case.fault.clean and not await settled(board):
                    return "the connection stays open"
                spoiled.mended, transport._idle, before = True, LONG, board.connections
                await bucket.put("key", SMALL)
                return None if case.fault.clean or board.connections > before else "the connection was used again"


async def settled(board: Switchboard) -> bool:
    """Whether the connection that was spoiled is soon closed at our end too, while the session stays open."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await board.quiet()
    return not board.lines


async def do(case: Case, bucket: Bucket) -> None:
    """Do what the case is about."""
    match case.operation:
        case "delete":
            await bucket.delete("key")
        case "read":
            assert sum([len(piece) async for piece in bucket.read("key", start=0, length=READ)]) == READ
        case _:
            await bucket.put("key", case.body)


async def asked(case: Case, bucket: Bucket, kind: Kind) -> str | None:
    """Do what the case is about; return what is wrong with how it ended."""
    began = time.monotonic()
    try:
        await do(case, bucket)
        found = DONE
    except ProviderFailure as failure:
        found = failure.code
        told = f"{traceback.format_exception(failure)} {failure!r} {failure.hint} {failure.provider_request_id}"
        if repeated := [secret for secret in (*kind.secrets, TOKEN, SESSION) if secret in told]:
            return f"{repeated} was repeated"
        if failure.transient != (failure.code in TRANSIENT):
            return f"{failure.code} is taken for transient or not"
    elapsed = time.monotonic() - began
    if found != case.fault.code:
        return f"{found}, not {case.fault.code}"
    return None if elapsed < LONG / 2 else f"took {elapsed:.1f} s"


async def run_all(cases: Sequence[Case], judge: Callable[[Case], Awaitable[str | None]]) -> None:
    """Run the cases, some at a time; whatever was wrong with any of them fails the test."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    places, wrong, began = asyncio.Semaphore(AT_ONCE), [], time.monotonic()

    async def run(case: Case) -> None:
        async with places:
            if found := await judge(case):
                wrong.append(f"{case.title}: {found}")

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(run(case))
    assert wrong == [], "\n".join(wrong)
    await assert_nothing_stays(tasks, sockets)
    print(f"\n{len(cases)} faults in {time.monotonic() - began:.1f} s")  # noqa: T201


@pytest.fixture(scope="session")
def faults(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Fault]:
    """All that can go wrong."""
    return {**FAULTS, **untrusted(ca, Authority(tmp_path_factory.mktemp("stranger")))}


def test_no_type_is_left_out() -> None:
    """A new destination type has to say here which requests its operations make."""
    assert OPERATIONS.keys() == KINDS.keys()
    assert {kind.provider.type for kind in KINDS.values()} == set(discover())


@pytest.mark.parametrize("name", KINDS)
async def test_every_fault_at_every_request(ca: Authority, faults: Mapping[str, Fault], name: str) -> None:
    """All of them if the environment says so, as `make endurance` does; else a fourth."""
    made = [case for case in cases(OPERATIONS[name], faults) if not may_drip(case, name)]
    assert len(made) > 150
    made = made if EVERY else a_share_of(made, faults)
    tls = ca.server_context()
    await run_all(made, lambda case: judged(case, KINDS[name], ca, tls))


def a_share_of(made: Sequence[Case], faults: Mapping[str, Fault]) -> list[Case]:
    """Return a fourth of the cases: at each stage every fourth fault, and at the next one the others."""
    order = {name: number for number, name in enumerate(faults)}
    stages = list(dict.fromkeys((case.operation, case.stage) for case in made))
    return [case for case in made if (order[case.name] + stages.index((case.operation, case.stage))) % 4 == 0]


def may_drip(case: Case, name: str) -> bool:
    """Whether that is a completion at S3, which may take a quarter of an hour, if it says now and then that it is still at it."""
    return case.stage == "complete" and "drips" in case.name and name in ("s3", "s3compatible", "gcs by HMAC")
