"""Every type against servers that redirect, lie, stall, drip, cut off or throttle; and a test that is given up."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from consignee.body import BytesBody
from consignee.errors import Throttled
from consignee.providers import discover
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from fakes import google as faults
from fakes import hostile
from fakes.certificates import Authority
from fakes.google import Fault, Google
from fakes.leading import LeadingResolver
from providers.kinds import EMAIL, KINDS, Kind, steps, verified
from providers.opening import loopback, opened
from proving import LONG, SCENARIOS, SHORT

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
STORAGE_FAULTS: dict[str, tuple[Fault, float, list[str]]] = {
    "hangs": (faults.hanging, SHORT, ["connect", "upload: timeout"]),
    "slow": (faults.slow(60), SHORT, ["connect", "upload: timeout"]),
    "cut off": (faults.cut_off, LONG, ["connect", "upload: endpoint_unreachable"]),
    "a page": (faults.lying_html, LONG, ["connect", "upload: not_a_storage_service"]),
    "another object": (faults.lying_json, LONG, ["connect", "upload: not_a_storage_service"]),
    "throttled": (faults.throttled, LONG, ["connect", "upload: throttled"]),
    "unavailable": (faults.unavailable, LONG, ["connect", "upload: provider_error"]),
    "a fault": (faults.internal_error, LONG, ["connect", "upload: provider_error"]),
}


def clients(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that have come since, but for those of the servers here."""
    return {task for task in asyncio.all_tasks() - before if getattr(task.get_coro(), "__qualname__", "") != "_handle"}


def test_no_type_is_left_out() -> None:
    assert {kind.provider.type for kind in KINDS.values()} == set(discover())


@every_kind
@pytest.mark.parametrize(("server", "timeout", "expected"), SCENARIOS.values(), ids=SCENARIOS)
async def test_a_hostile_server(
    kind: Kind, server: Callable[[], AbstractAsyncContextManager[Any]], timeout: float, expected: list[str]
) -> None:
    """Where both storage and tokens are, at the operator's endpoint."""
    async with server() as running:
        report = await verified(kind, running.url, timeout=timeout)
    assert steps(report) == expected
    assert report.left_behind is None


@every_kind
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(kind: Kind, status: int) -> None:
    """It would lead the file, and what signs for it, wherever the endpoint's owner likes."""
    async with hostile.redirecting(status) as redirecting:
        report = await verified(kind, redirecting.url, timeout=LONG)
        assert redirecting.target.connections == 0
        assert len(redirecting.server.requests) == 1
    assert steps(report) == ["connect", "upload: redirect_refused"]


@every_kind
async def test_the_time_to_wait_is_told(kind: Kind) -> None:
    async with (
        hostile.throttling(retry_after="7") as server,
        opened(kind.provider, kind.fields_at(server.url), kind.settings_at(server.url)) as bucket,
    ):
        for attempt in (bucket.put("key", BytesBody(b"x")), bucket.delete("key")):
            with pytest.raises(Throttled) as throttled:
                await attempt
            assert throttled.value.retry_after == 7.0


@every_kind
async def test_a_test_that_is_given_up_leaves_no_task_and_no_socket(kind: Kind) -> None:
    """While the server lets it hang; and while the session is still open."""
    async with hostile.hanging() as server:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with opened(kind.provider, kind.fields_at(server.url), kind.settings_at(server.url)) as bucket:
            attempt = asyncio.create_task(bucket.put("key", BytesBody(b"x")))
            async with asyncio.timeout(5):
                while not server.connections:
                    await asyncio.sleep(0.01)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert clients(tasks) == set()
            assert len(open_sockets() - sockets) <= 1  # the server's own end, which it never reads


@pytest.mark.parametrize(("fault", "timeout", "expected"), STORAGE_FAULTS.values(), ids=STORAGE_FAULTS)
async def test_googles_storage_fails_after_a_good_token(fault: Fault, timeout: float, expected: list[str]) -> None:
    google = Google()
    google.create_bucket("files")
    google.service_account(EMAIL)
    google.storage_fault = fault
    async with google.serving() as server:
        report = await verified(KINDS["gcs by account"], server.url, timeout=timeout)
    assert steps(report) == expected


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_googles_storage_redirects_after_a_good_token(ca: Authority, status: int) -> None:
    """The token would go there too. At Google's own name: the answer may be anybody's between us and it."""
    google = Google()
    google.create_bucket("files")
    google.service_account(EMAIL)
    async with hostile.accepting() as target, google.serving(tls=ca.server_context(*faults.HOSTS)) as server:
        google.storage_fault = faults.redirected(f"{target.url}/elsewhere", status=status)
        resolver = LeadingResolver(dict.fromkeys(faults.HOSTS, server.port))
        settings = loopback(ca=ca.pem)
        report = await verified(KINDS["gcs by account"], "", timeout=LONG, settings=settings, resolver=resolver)
        assert target.connections == 0
        assert [request.method for request in server.requests] == ["POST", "POST"]
    assert steps(report)[-1] == "upload: redirect_refused"


async def test_a_cancelled_upload_at_google_leaves_nothing() -> None:
    """With a good token in hand: its connection may stay, as any that is kept alive; no task does."""
    google = Google()
    google.create_bucket("files")
    google.service_account(EMAIL)
    google.storage_fault = faults.hanging
    kind = KINDS["gcs by account"]
    async with google.serving() as server:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with opened(kind.provider, kind.fields, kind.settings_at(server.url)) as bucket:
            attempt = asyncio.create_task(bucket.put("key", BytesBody(b"x")))
            async with asyncio.timeout(5):
                while len(server.requests) < 2:
                    await asyncio.sleep(0.01)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
        assert clients(tasks) == set()
    await assert_nothing_stays(tasks, sockets)
