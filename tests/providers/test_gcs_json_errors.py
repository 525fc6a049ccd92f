"""What Google's JSON API and its token endpoint mean by their refusals: an answer as they send it for each row.

https://cloud.google.com/storage/docs/json_api/v1/status-codes and
https://developers.google.com/identity/protocols/oauth2/service-account#error-codes
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from consignee.body import BytesBody
from consignee.errors import BucketNotFound, ClockSkew, CredentialsRejected, NotAStorageService, ProviderError
from consignee.providers import gcs
from consignee.providers.gcs_json import BY_CODE, JSON
from fakes import google as faults
from fakes.google import Fault, Google, always
from fakes.scripted import Answer as Sent
from fakes.scripted import Request, Responder
from providers.opening import COMMON, loopback, opened
from providers.test_s3_errors import MESSAGE, NOW, answer, assert_clean

BODY: Final = BytesBody(b"content")
EMAIL: Final = "writer@demo-project.iam.gserviceaccount.com"
UPLOAD_ID: Final = "AAO2VwqXl2G0yV5a1kQzbTn3FZ-b7Y1n"
TOKEN: Final[Mapping[str, tuple[int, str]]] = {
    "invalid_grant": (400, "credentials_rejected"),
    "invalid_client": (401, "credentials_rejected"),
    "disabled_client": (401, "credentials_rejected"),
    "deleted_client": (401, "credentials_rejected"),
    "unauthorized_client": (401, "credentials_rejected"),
    "invalid_scope": (400, "credentials_rejected"),
    "access_denied": (403, "credentials_rejected"),
}
STORAGE: Final[Mapping[str, tuple[int, str]]] = {
    "authError": (401, "credentials_rejected"),
    "required": (401, "credentials_rejected"),
    "forbidden": (403, "access_denied"),
    "insufficientPermissions": (403, "access_denied"),
    "retentionPolicyNotMet": (403, "access_denied"),
    "accountDisabled": (403, "access_denied"),
    "userProjectAccountProblem": (403, "access_denied"),
    "userProjectInvalid": (400, "access_denied"),
    "userProjectMissing": (400, "access_denied"),
    "notFound": (404, "bucket_not_found"),
    "invalid": (400, "bucket_not_found"),
    "rateLimitExceeded": (429, "throttled"),
    "userRateLimitExceeded": (403, "throttled"),
    "backendError": (503, "provider_error"),
    "internalError": (500, "provider_error"),
}


def refused_token(error: str, description: str = MESSAGE) -> str:
    """Return what the token endpoint says."""
    return json.dumps({"error": error, "error_description": description})


def refused(status: int, reason: str, message: str = MESSAGE) -> str:
    """Return an error as the JSON API words it."""
    first = {"message": message, "domain": "global", "reason": reason, "location": "hunter2"}
    return json.dumps({"error": {"code": status, "message": message, "errors": [first]}}, indent=1)


def test_every_row_is_tried() -> None:
    assert {*TOKEN, *STORAGE} == set(BY_CODE)


@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in TOKEN.items()])
def test_a_refused_token_has_its_meaning(code: str, status: int, ours: str) -> None:
    failed = JSON.failure(answer(status, refused_token(code)), now=NOW)
    assert (failed.code, failed.provider_code) == (ours, code)
    assert str(failed) == BY_CODE[code].message
    assert_clean(failed)


@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in STORAGE.items()])
def test_a_reason_has_its_meaning(code: str, status: int, ours: str) -> None:
    failed = JSON.failure(answer(status, refused(status, code), X_GUploader_UploadID=UPLOAD_ID), now=NOW)
    assert (failed.code, failed.provider_code, failed.provider_request_id) == (ours, code, UPLOAD_ID)
    assert str(failed) == BY_CODE[code].message
    assert_clean(failed)


def test_a_token_refused_for_its_time_is_a_clock_that_differs() -> None:
    said = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat."
    sent = answer(400, refused_token("invalid_grant", said), Date="Fri, 02 Jan 2026 01:04:05 GMT")
    failed = JSON.failure(sent, now=NOW)
    assert type(failed) is ClockSkew
    assert "7200 seconds ahead of" in failed.hint


def test_a_bucket_of_which_the_requester_pays() -> None:
    """Its reason is the word for a missing token, but not its status."""
    said = "Bucket is a requester pays bucket but no user project provided."
    failed = JSON.failure(answer(400, refused(400, "required", said)), now=NOW)
    assert (failed.code, failed.provider_code) == ("access_denied", "required")
    assert "billing" in failed.hint


@pytest.mark.parametrize(
    "body",
    [
        *("", "x", "7", "null", "[]", "{}", '"error"', '{"error": null}', '{"error": []}', '{"error": {}}'),
        *('{"error": {"errors": []}}', '{"error": {"errors": {}}}', '{"error": {"errors": [7]}}'),
        *('{"error": {"errors": [{"reason": ["x"]}]}}', '{"error": {"errors": [{"reason": "<b>"}]}}', '{"error": 7}'),
        *("[" * 30_000, '{"a":' * 10_000, '{"error": "' + "x" * 65 + '"}', "\x00", f"<html>{MESSAGE}</html>"),
    ],
    ids=lambda body: body[:24],
)
def test_what_is_no_error_of_google_has_no_code(body: str) -> None:
    failed = JSON.failure(answer(403, body), now=NOW)
    assert (failed.code, failed.provider_code) == ("access_denied", None)
    assert_clean(failed)


def answering(value: Any, status: int = 200) -> Fault:
    """The same JSON to everything."""
    text = value if isinstance(value, str) else json.dumps(value)
    return always(Sent(status, {"Content-Type": "application/json"}, text.encode()))


async def attempt(google: Google, *, bucket: str = "demo-bucket", **changed: str) -> None:
    """Put an object there."""
    google.create_bucket("demo-bucket")
    account = google.service_account(EMAIL) | changed
    fields = COMMON | {"type": "gcs", "gcs_service_account_json": account, "gcs_bucket_name": bucket}
    async with google.serving() as server, opened(gcs.PROVIDER, fields, loopback(gcs=server.url)) as opened_bucket:
        await opened_bucket.put("key", BODY)


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "[]", "7", "null", "{}", "[" * 30_000, '{"access_token": "x", "expires_in": 1e999}'),
        *('{"access_token": "x", "expires_in": "soon"}', '{"access_token": "x", "expires_in": []}'),
    ],
    ids=lambda token: token[:24],
)
async def test_what_is_no_token_is_not_google(token: str) -> None:
    """However odd it is; and nothing is uploaded with it."""
    google = Google()
    google.token_fault = answering(token)
    with pytest.raises(NotAStorageService):
        await attempt(google)
    assert google.objects["demo-bucket"] == {}


@pytest.mark.parametrize("lifetime", [-1, 0, 1, 10**400])
async def test_a_token_of_an_absurd_lifetime_is_used_once(lifetime: int) -> None:
    """The library would go on asking for another one."""
    google = Google()
    asked = []

    def short(request: Request, responder: Responder) -> Sent:
        asked.append(request)
        given = json.loads(responder(request).body)
        return Sent(200, {"Content-Type": "application/json"}, json.dumps(given | {"expires_in": lifetime}).encode())

    google.token_fault = short
    await attempt(google)
    assert google.objects["demo-bucket"] == {"key": b"content"}
    assert len(asked) == 1


@pytest.mark.parametrize("made", ["", "x", "[]", "7", "null", "{}", "[" * 30_000, '{"bucket": "demo-bucket"}'])
async def test_an_upload_that_is_not_confirmed_is_none(made: str) -> None:
    google = Google()
    google.storage_fault = answering(made)
    with pytest.raises(NotAStorageService):
        await attempt(google)


@pytest.mark.parametrize("fault", [faults.lying_json, faults.lying_html])
async def test_a_lie_is_noticed(fault: Fault) -> None:
    google = Google()
    google.storage_fault = fault
    with pytest.raises(NotAStorageService):
        await attempt(google)


async def test_another_content_than_was_sent_is_noticed() -> None:
    """The JSON API checks no digest of its own: the answer has that of what arrived."""
    google = Google()
    other = {"bucket": "demo-bucket", "name": "key", "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    google.storage_fault = answering(other)
    with pytest.raises(ProviderError, match="as it was sent"):
        await attempt(google)


async def test_the_refusals_of_the_strict_fake() -> None:
    google = Google()
    with pytest.raises(BucketNotFound) as missing:
        await attempt(google, bucket="no-such-bucket")
    assert missing.value.provider_code == "notFound"
    with pytest.raises(CredentialsRejected) as unknown:
        await attempt(google, client_email="nobody@demo-project.iam.gserviceaccount.com")
    assert unknown.value.provider_code == "invalid_grant"
    google.skew = 7200
    with pytest.raises(ClockSkew):
        await attempt(google)


async def test_an_object_that_is_absent_is_told_from_a_bucket_that_is() -> None:
    """Both are 404 and notFound: the one is deleted, the other an error."""
    google = Google()
    google.create_bucket("demo-bucket")
    fields = COMMON | {"type": "gcs", "gcs_service_account_json": google.service_account(EMAIL)}
    async with google.serving() as server:
        settings = loopback(gcs=server.url)
        async with opened(gcs.PROVIDER, fields | {"gcs_bucket_name": "demo-bucket"}, settings) as bucket:
            await bucket.delete("never-was")
        async with opened(gcs.PROVIDER, fields | {"gcs_bucket_name": "no-such-bucket"}, settings) as bucket:
            with pytest.raises(BucketNotFound):
                await bucket.delete("never-was")
