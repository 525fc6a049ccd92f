"""What a connectivity test could not remove, or may have written, and how it is reported."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import pytest

from fakes import hostile
from fakes.policies import PolicyServer
from fakes.scripted import Answer, Request, scripted
from proving import FILE, LONG, SHORT, nobody, proven


@pytest.mark.parametrize(
    ("how", "code", "timeout"),
    [("refuses", "endpoint_unreachable", LONG), ("hangs", "timeout", 1.0), ("forbids", "access_denied", LONG)],
)
async def test_what_can_not_be_deleted_is_named(
    how: Literal["refuses", "hangs", "forbids"], code: str, timeout: float
) -> None:
    """By its full key, prefix included, as the customer finds it in the bucket."""
    async with hostile.undeletable(how) as server:
        outcome = await proven(server.url, timeout=timeout, s3_path_prefix="exports/%DATE%")
    assert outcome.steps == ["connect", "upload", f"delete: {code}"]
    key = f"exports/2000_01_01/{FILE}"
    assert outcome.report.left_behind == outcome.report.doubtful == outcome.report.to_json()["left_behind"] == key
    hint = outcome.report.steps[-1].hint
    assert hint
    assert key in hint


async def test_the_deadline_is_for_the_whole_and_said_as_it_was_set() -> None:
    """A delete that hangs has what the upload left of it, not the same again."""

    async def late(request: Request) -> AsyncGenerator[bytes, None]:
        await asyncio.sleep(1.0 if request.method == "PUT" else LONG)
        yield hostile.as_storage(request).encode()

    async with scripted(lambda request: Answer(raw=late(request))) as server:
        outcome = await proven(server.url, timeout=1.5)
    assert outcome.steps == ["connect", "upload", "delete: timeout"]
    assert outcome.report.steps[-1].ms < 1400
    assert "within 1.5 seconds" in outcome.report.message


@pytest.mark.parametrize(
    ("server", "timeout", "doubtful"),
    [
        (hostile.hanging, SHORT, True),
        (lambda: hostile.closing(after="request"), LONG, True),
        (lambda: hostile.answering(500), LONG, True),
        (lambda: hostile.html(status=401), LONG, False),
        (hostile.throttling, LONG, True),
        (hostile.html, LONG, True),
        (lambda: hostile.hanging(scheme="https"), SHORT, False),
        (nobody, LONG, False),
    ],
)
async def test_an_upload_that_was_not_refused_may_have_written(
    server: Callable[[], AbstractAsyncContextManager[Any]], timeout: float, doubtful: bool
) -> None:
    """What was sent and not answered is removed later, but the customer is told only of what is surely there."""
    async with server() as running:
        outcome = await proven(running.url, timeout=timeout)
    assert outcome.report.doubtful == (FILE if doubtful else None)
    assert outcome.report.left_behind is None


async def test_the_right_to_put_alone_is_not_enough(moto_iam: PolicyServer) -> None:
    key_id, secret = moto_iam.users["nodelete"]
    keys: dict[str, Any] = {
        "s3_access_key_id": key_id,
        "s3_secret_access_key": secret,
        "s3_bucket_name": moto_iam.bucket,
    }
    outcome = await proven(moto_iam.url, **keys)
    assert outcome.steps == ["connect", "upload", "delete: access_denied"]
    assert outcome.report.steps[-1].provider_code == "AccessDenied"
    assert FILE in await moto_iam.server.keys(moto_iam.users["writer"][0], moto_iam.bucket)
