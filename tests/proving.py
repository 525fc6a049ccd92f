"""Running a connectivity test, and what holds of every report."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver

from consignee.outlets import open_outlets
from consignee.providers import s3compatible
from consignee.settings import Settings
from consignee.verification import Report, verify
from fakes import hostile
from providers.opening import S3_FIELDS, draft_of, loopback

TOKEN = "0123456789abcdef"
FILE = f"consignee-test-{TOKEN}.txt"
SHORT = 0.3
LONG = 30.0


@dataclass(frozen=True)
class Outcome:
    """A report with the milliseconds that the whole test took."""

    report: Report
    elapsed: float

    @property
    def steps(self) -> list[str]:
        """The names of the steps; the last has its code if it failed."""
        return [step.step if step.ok else f"{step.step}: {step.code}" for step in self.report.steps]


async def proven(
    endpoint: str,
    *,
    settings: Settings | None = None,
    resolver: AbstractResolver | None = None,
    timeout: float = LONG,
    **fields: Any,
) -> Outcome:
    """Test a destination there, and check what holds of every report."""
    settings = settings or loopback()
    provider = s3compatible.PROVIDER
    draft = draft_of(provider, S3_FIELDS | {"type": "s3compatible", "s3_endpoint": endpoint, **fields}, settings)
    async with open_outlets(settings, resolver=resolver) as outlets:
        began = time.monotonic()
        report = await verify(
            draft,
            provider,
            lambda trace: outlets.transport(provider, trace),
            found={},
            timeout=timeout,
            token=TOKEN,
        )
        elapsed = (time.monotonic() - began) * 1000
    assert_well_formed(report, elapsed)
    return Outcome(report, elapsed)


def assert_well_formed(report: Report, elapsed: float) -> None:
    """At most one step fails, and it is the last; the parts don't take longer than the whole, but for rounding."""
    names = [step.step for step in report.steps]
    assert names == [name for name in ("resolve", "connect", "upload", "delete") if name in names]
    assert all(step.ok and step.code is None and step.hint is None for step in report.steps[:-1])
    assert all(step.ms >= 0 for step in report.steps)
    assert sum(step.ms for step in report.steps) <= elapsed + len(names)
    last = report.steps[-1]
    assert report.ok == last.ok == (report.message == "") == (report.code is None)
    assert last.ok or (last.hint and last.code == report.code)
    assert report.doubtful == (report.left_behind or report.doubtful)


@asynccontextmanager
async def nobody() -> AsyncIterator[Any]:
    """A port where nobody listens."""
    with hostile.refusing() as url:
        yield _At(url)


@dataclass(frozen=True)
class _At:
    url: str


Scenario = tuple[Callable[[], AbstractAsyncContextManager[Any]], float, list[str]]
SCENARIOS: dict[str, Scenario] = {
    "nobody listens": (nobody, LONG, ["connect: endpoint_unreachable"]),
    "hangs": (hostile.hanging, SHORT, ["connect", "upload: timeout"]),
    "hangs in the handshake": (lambda: hostile.hanging(scheme="https"), SHORT, ["connect: timeout"]),
    "drips": (lambda: hostile.dripping(interval=0.01), SHORT, ["connect", "upload: timeout"]),
    "no TLS at the TLS port": (hostile.plain_at_tls_port, LONG, ["connect: tls_failed"]),
    "a page for everything": (hostile.html, LONG, ["connect", "upload: not_a_storage_service"]),
    "a page with 404": (lambda: hostile.html(status=404), LONG, ["connect", "upload: not_a_storage_service"]),
    "a page before the body": (hostile.html_unread, LONG, ["connect", "upload: not_a_storage_service"]),
    "asks to slow down": (hostile.throttling, LONG, ["connect", "upload: throttled"]),
    "a good body without end": (hostile.endless_body, LONG, ["connect", "upload: not_a_storage_service"]),
    "a body without end": (lambda: hostile.endless_body(status=403), LONG, ["connect", "upload: access_denied"]),
    "headers without end": (hostile.endless_headers, LONG, ["connect", "upload: not_a_storage_service"]),
    "closes at once": (lambda: hostile.closing(after="accept"), LONG, ["connect", "upload: endpoint_unreachable"]),
    "closes later": (lambda: hostile.closing(after="request"), LONG, ["connect", "upload: endpoint_unreachable"]),
    "a fault": (lambda: hostile.answering(500), LONG, ["connect", "upload: provider_error"]),
    "must log in": (lambda: hostile.html(status=401), LONG, ["connect", "upload: credentials_rejected"]),
}
"""Hostile servers, how long to wait for each, and the steps that a test of any destination type then reports."""
