"""That the fake of Google accepts what Google's clients send, and refuses what Google refuses."""

import asyncio
import io
import json
from collections.abc import Mapping

import pytest
from aiohttp import ClientError, ClientPayloadError, ClientResponseError, ClientSession
from gcloud.aio.auth import Token
from gcloud.aio.storage import Storage

from fakes import google as faults
from fakes.certificates import Authority
from fakes.google import Google
from fakes.google_calls import (
    BUCKET,
    EMAIL,
    SCOPE,
    STORAGE,
    bearer,
    claims,
    connected,
    delete,
    exchange,
    upload,
)
from fakes.google_oauth import LIFETIME, assertion, private_key

ODD = ["a b", "a+b", "a%b", "a%20b", "x/y/z", ".dot", "a//b", "../x", "#?&=;", "ünï/çödé", "日本"]


def client(session: ClientSession, account: Mapping[str, str]) -> Storage:
    """Return the library's own client, whose types are those of its edition without asyncio."""
    file = io.StringIO(json.dumps(account))
    token = Token(service_file=file, session=session, scopes=[SCOPE])  # type: ignore[arg-type]
    return Storage(token=token, session=session, api_root=STORAGE, api_is_dev=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ODD)
async def test_the_library_writes_replaces_and_deletes(ca: Authority, name: str) -> None:
    """gcloud-aio as it is, over TLS, with its own tokens; also odd names, and an empty object."""
    google = Google()
    objects = google.create_bucket(BUCKET)
    account = google.service_account(EMAIL)
    async with connected(google, ca) as session:
        storage = client(session, account)
        for body in (b"the first", f"body of {name}".encode(), b""):
            answer = await storage.upload(BUCKET, name, body, force_resumable_upload=False)
            assert (answer["bucket"], answer["name"], answer["size"]) == (BUCKET, name, str(len(body)))
            assert objects == {name: body}
        await storage.delete(BUCKET, name)
        assert objects == {}
        with pytest.raises(ClientResponseError, match="No such object") as caught:
            await storage.delete(BUCKET, name)
    assert caught.value.status == 404
    assert len(google.oauth.tokens) == 1


async def test_the_library_with_another_key_is_refused(ca: Authority) -> None:
    google = Google()
    account = google.service_account(EMAIL) | {"private_key": private_key(1)}
    async with connected(google, ca) as session:
        with pytest.raises(ClientResponseError, match="Invalid JWT Signature") as caught:
            await client(session, account).token.refresh(timeout=10)
    assert caught.value.status == 400
    assert google.oauth.tokens == {}


async def test_without_a_good_token_nothing_is_done(google: Google, session: ClientSession) -> None:
    """None, a made-up one, one under another scheme, and one that has expired."""
    google.service_account(EMAIL)
    good = await bearer(session)
    (other,) = ({"Authorization": value.replace("Bearer", "Basic")} for value in good.values())
    for headers, reason in (({}, "required"), ({"Authorization": "Bearer ya29.x"}, "authError"), (other, "authError")):
        assert await upload(session, headers) == (401, reason)
        assert await delete(session, headers) == (401, reason)
    google.skew = LIFETIME - 1
    assert (await upload(session, good))[0] == 200
    google.skew = LIFETIME
    assert await upload(session, good, "later") == (401, "authError")
    assert google.objects == {BUCKET: {"x": b"x"}}


async def test_who_may_not_write_is_refused(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL, may=["delete"])
    google.objects[BUCKET]["old"] = b""
    headers = await bearer(session)
    assert await upload(session, headers) == (403, "forbidden")
    assert await delete(session, headers, "old") == (204, "")
    assert google.objects == {BUCKET: {}}


async def test_who_may_not_delete_may_not_replace_either(google: Google, session: ClientSession) -> None:
    """https://cloud.google.com/storage/docs/access-control/iam-json: to replace needs storage.objects.delete too."""
    google.service_account(EMAIL, may=["create"])
    headers = await bearer(session)
    assert (await upload(session, headers))[0] == 200
    assert await upload(session, headers) == (403, "forbidden")
    assert await delete(session, headers) == (403, "forbidden")
    assert google.objects == {BUCKET: {"x": b"x"}}


async def test_a_missing_bucket_and_a_missing_payer_are_told(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL)
    headers = await bearer(session)
    for call in (upload, delete):
        assert await call(session, headers, bucket="no-such-bucket") == (404, "notFound")
    google.unpaid.add(BUCKET)
    for call in (upload, delete):
        assert await call(session, headers) == (403, "accountDisabled")
    assert google.objects == {BUCKET: {}}


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\rb", "é" * 513])
async def test_a_name_that_no_object_can_have_is_refused(google: Google, session: ClientSession, name: str) -> None:
    google.service_account(EMAIL)
    status, _reason = await upload(session, await bearer(session), name)
    assert status == 400
    assert google.objects == {BUCKET: {}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?name=x&uploadType=resumable", 400),
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?name=x&name=y&uploadType=media", 400),
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?name=x&uploadType=media&unknown=1", 400),
        ("PUT", f"/upload/storage/v1/b/{BUCKET}/o?name=x&uploadType=media", 404),
        ("GET", f"/storage/v1/b/{BUCKET}/o/x", 404),
        ("DELETE", f"/storage/v1/b/{BUCKET}/o/x/y", 404),
        ("DELETE", f"/{BUCKET}/x", 404),
    ],
)
async def test_requests_that_nobody_should_send_are_refused(
    google: Google, session: ClientSession, method: str, path: str, status: int
) -> None:
    """What is not served, and a slash in an object's name that was not escaped."""
    google.service_account(EMAIL)
    google.objects[BUCKET]["x/y"] = b""
    async with session.request(method, STORAGE + path, data=b"x", headers=await bearer(session)) as response:
        assert response.status == status
    assert google.objects == {BUCKET: {"x/y": b""}}


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (faults.throttled, (429, "rateLimitExceeded")),
        (faults.unavailable, (503, "backendError")),
        (faults.internal_error, (500, "internalError")),
    ],
)
async def test_a_server_with_a_fault_says_so(
    google: Google, session: ClientSession, fault: faults.Fault, answer: tuple[int, str]
) -> None:
    google.service_account(EMAIL)
    headers = await bearer(session)
    google.storage_fault = fault
    assert await upload(session, headers) == answer
    assert await delete(session, headers) == answer
    google.storage_fault, google.token_fault = None, fault
    assert (await exchange(session, assertion(claims())))[0] == answer[0]
    assert google.objects == {BUCKET: {}}


async def test_a_liar_answers_well_and_does_nothing(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL)
    headers = await bearer(session)
    google.storage_fault = faults.lying_html
    assert (await upload(session, headers))[1].startswith("<!doctype html>")
    google.storage_fault = faults.lying_json
    status, text = await upload(session, headers)
    assert (status, json.loads(text)["name"]) == (200, "another")
    google.storage_fault = faults.redirected(f"{STORAGE}/elsewhere")
    assert (await upload(session, headers))[0] == 302
    assert google.objects == {BUCKET: {}}


async def test_a_server_may_be_slow_or_break_off(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL)
    headers = await bearer(session)
    google.storage_fault = faults.slow(0.01)
    assert (await upload(session, headers, "slow"))[0] == 200
    google.storage_fault = faults.cut_off
    with pytest.raises(ClientPayloadError):
        await upload(session, headers, "cut-off")
    google.storage_fault = faults.hanging
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await upload(session, headers, "never")
    assert google.objects == {BUCKET: {"slow": b"x", "cut-off": b"x"}}


async def test_google_tells_its_time(google: Google, session: ClientSession) -> None:
    google.skew = -60
    async with session.get(f"{STORAGE}/") as response:
        assert response.headers["Date"] == "Fri, 15 Jan 2027 07:59:00 GMT"


async def test_no_other_name_leads_here(session: ClientSession) -> None:
    with pytest.raises(ClientError, match="Name or service not known"):
        await session.get("https://metadata.google.internal/")
