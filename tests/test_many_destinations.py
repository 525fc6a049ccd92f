"""Two hundred destinations of every type are verified at once while some of them hang: how long it takes, and what it costs."""

import time
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from canaries import OSS_SECRET
from consignee.opening import open_destinations
from consignee.service import Destinations
from consignee.settings import (
    LimitsSettings,
    ProviderSettings,
    SecretsSettings,
    Settings,
    StoreSettings,
    VerificationSettings,
)
from consignee.verification import Report
from fakes import hostile
from fakes.google import hanging
from fakes.leading import LeadingResolver
from fakes.oss import oss_server
from fakes.oss_access import User
from fakes.scripted import Answer, Request, Server, scripted
from providers.kinds import GOOGLE, KINDS, Kind
from providers.opening import loopback

MANY: Final = 200
ACCOUNTS: Final = ("ann", "bob", "cid", "dee")
TIMEOUT: Final = 3.0
"""Seconds for one test."""
HANGING: Final[Mapping[str, Mapping[str, str]]] = {
    "s3": {"s3_bucket_name": "hangs"},
    "s3compatible": {},
    "gcs by HMAC": {"gcs_bucket_name": "hangs"},
    "azure": {"azure_account_name": "hangs"},
    "oss": {"oss_bucket_name": "hangs"},
}
"""What to change of a destination for its storage to hang: the place where it is."""


def google(request: Request) -> Answer:
    """Answer as Google: the strict fake for service accounts, and for HMAC keys a storage that checks nothing."""
    if request.path.startswith(("/token", "/upload/", "/storage/")):
        return GOOGLE.answer(request)
    return hanging(request, GOOGLE.answer) if request.path.startswith("/hangs/") else hostile.as_storage(request)


@dataclass
class Storages:
    """Where everything is."""

    good: Server
    silent: Server
    settings: Settings
    resolver: LeadingResolver

    def destination(self, kind: Kind, *, hangs: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the fields of a destination that works, or of one that hangs."""
        fields = kind.fields_at((self.good if hangs is None else self.silent).url)
        return {**fields, **(hangs or {}), "enabled": False}  # it is not tested before it is saved


@asynccontextmanager
async def storages(directory: Path) -> AsyncIterator[Storages]:
    """Run a storage for each type, and one that hangs."""
    users = {"LTAI5tCANARYCANARY": User(OSS_SECRET)}
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(hostile.accepting())
        silent = await stack.enter_async_context(hostile.hanging())
        oss = await stack.enter_async_context(oss_server(users, {"files": "cn-hangzhou"}))
        gcs = await stack.enter_async_context(scripted(google))
        ports = {"hangs.*": silent.port, "*.oss.example": oss.port, "*.example": good.port}
        endpoints = {
            "s3": "http://{bucket}.s3.example",
            "azure": "http://{account}.blob.example",
            "oss": "http://{bucket}.oss.example",
            "gcs": gcs.url,
        }
        settings = replace(
            loopback(),
            limits=LimitsSettings(destinations_per_account=MANY),
            providers={name: ProviderSettings(url) for name, url in endpoints.items()},
            verification=VerificationSettings(timeout=TIMEOUT, concurrency=64),
            store=StoreSettings(path=str(directory / "store")),
            secrets=SecretsSettings(key_file=str(directory / "key")),
        )
        yield Storages(good, silent, settings, LeadingResolver(ports))


@dataclass
class Outcome:
    """The reports by id, and after how many seconds the last good and the last bad one came."""

    began: float = field(default_factory=time.monotonic)
    reports: dict[str, Report] = field(default_factory=dict)
    last: dict[bool, float] = field(default_factory=dict)

    async def collect(self, destinations: Destinations, account: str) -> None:
        """Verify all of an account."""
        async for id_, report in destinations.verify(account):
            self.reports[id_] = report
            self.last[report.ok] = time.monotonic() - self.began


def resident() -> float:
    """Return how many MiB of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1024 / 1024


async def fill(destinations: Destinations, places: Storages) -> set[str]:
    """Save them all, and return the ids of those that hang."""
    ids = set()
    for number in range(MANY):
        kind, account = list(KINDS)[number % len(KINDS)], ACCOUNTS[(number + number // len(KINDS)) % len(ACCOUNTS)]
        hangs = HANGING.get(kind) if number < len(KINDS) else None
        made = await destinations.create(account, places.destination(KINDS[kind], hangs=hangs))
        if hangs is not None:
            ids.add(made.id)
    return ids


async def test_two_hundred_at_once_of_which_five_hang(tmp_path: Path) -> None:
    """Those that hang take one timeout, all of them together; the others don't wait for them."""
    async with (
        storages(tmp_path) as places,
        open_destinations(places.settings, resolver=places.resolver) as destinations,
    ):
        hang = await fill(destinations, places)
        await Outcome().collect(destinations, ACCOUNTS[3])  # the libraries are imported, their memory is taken
        before, outcome = resident(), Outcome()
        async with TaskGroup() as group:
            for account in ACCOUNTS:
                group.create_task(outcome.collect(destinations, account))
        elapsed, grown = time.monotonic() - outcome.began, resident() - before
    bad = {id_: report.code for id_, report in outcome.reports.items() if not report.ok}
    assert len(outcome.reports) == MANY
    assert bad == dict.fromkeys(hang, "timeout")
    assert len(hang) == 5
    print(  # noqa: T201
        f"\n{MANY} destinations of {len(KINDS)} kinds, {len(hang)} of them hanging, timeout {TIMEOUT:g} s: "
        f"{elapsed:.2f} s in all, the good ones after {outcome.last[True]:.2f} s, {grown:.1f} MiB more"
    )
    assert TIMEOUT * 0.9 < outcome.last[False] < 3 * TIMEOUT
    assert elapsed < 3 * TIMEOUT
    assert grown < 64
