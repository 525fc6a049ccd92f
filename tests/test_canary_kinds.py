"""No secret and no key id of any type in anything that is logged, printed, raised or reported, whatever happens."""

import asyncio
import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import pytest

from canaries import AZURE_KEY, S3_SECRET, found
from consignee.body import BytesBody
from consignee.catalog import Catalog, raw
from consignee.demo.azurite import AzuriteServer
from consignee.demo.storage import StorageServer
from consignee.errors import CredentialsRejected, ProviderFailure, VerificationFailed
from consignee.outlets import policy
from consignee.providers import discover
from fakes import hostile
from fakes.google import Google
from fakes.google_oauth import private_key
from fakes.oss import oss_server
from fakes.oss_access import User
from fakes.scripted import Answer, Request, Server, scripted
from providers.kinds import EMAIL, GOOGLE, KINDS, Kind, verified
from providers.opening import draft_of, loopback, opened

LIBRARIES = ("aiohttp", "asyncio", "azure", "botocore", "consignee", "gcloud", "jwt", "msrest", "oss2", "urllib3")
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as it is often written."""
    encoded = secret.encode()
    yield from {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), secret.replace("+", " ")}
    yield from (encode(encoded).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode))
    yield encoded.hex()
    yield json.dumps(secret)[1:-1]


def leaks(kind: Kind, text: str) -> list[str]:
    """Return which of the canaries are in a text, in any form."""
    return [secret for secret in kind.secrets if any(form in text for form in forms(secret))]


def key_id_in(request: Request) -> str:
    """Return the key id that a request shows, or all that it proves itself by."""
    credential = parse_qs(urlsplit(request.path).query).get("x-oss-credential", [""])[0]
    authorization = request.headers.get("authorization", "")
    return (credential or authorization.partition("Credential=")[2]).partition("/")[0] or authorization or "none"


def echoing(header: str) -> Callable[[Request], Answer]:
    """Return a server that sends back what it was sent, wherever a client may look."""

    def answer(request: Request) -> Answer:
        key_id = key_id_in(request)
        shown = f"{request.path} {dict(request.headers)} {request.body.decode(errors='replace')}"
        body = f"<Error><Code>{key_id}</Code><Message>{shown}</Message><RequestId>{key_id}</RequestId>"
        body += f"<Region>{key_id}</Region><Endpoint>{key_id}</Endpoint><ServerTime>{key_id}</ServerTime></Error>"
        return Answer(403, {header: key_id, "Server": key_id}, body.encode())

    return answer


def echoing_json(request: Request) -> Answer:
    """The same where Google has its codes."""
    shown = f"{key_id_in(request)} {request.body.decode(errors='replace')}"
    return Answer(401, {}, json.dumps({"error": shown, "error_description": shown}).encode())


def good(kind: Kind) -> AbstractAsyncContextManager[Server]:
    """A server that accepts a destination of this kind."""
    return GOOGLE.serving() if EMAIL in kind.secrets else hostile.accepting()


SERVERS: Mapping[str, Callable[[Kind], AbstractAsyncContextManager[Server]]] = {
    "accepts": good,
    "refuses the delete": lambda _: hostile.undeletable("forbids"),
    "hangs": lambda _: hostile.hanging(),
    "speaks no TLS": lambda _: hostile.plain_at_tls_port(),
    "closes": lambda _: hostile.closing(after="request"),
    "headers without end": lambda _: hostile.endless_headers(),
    "a page": lambda _: hostile.html(),
    "echoes as S3's id": lambda _: scripted(echoing("x-amz-request-id")),
    "echoes as Google's id": lambda _: scripted(echoing("x-guploader-uploadid")),
    "echoes as Azure's id": lambda _: scripted(echoing("x-ms-request-id")),
    "echoes as Azure's code": lambda _: scripted(echoing("x-ms-error-code")),
    "echoes as OSS's id": lambda _: scripted(echoing("x-oss-request-id")),
    "echoes as a place to go": lambda _: scripted(echoing("Location")),
    "echoes as a time": lambda _: scripted(echoing("Retry-After")),
    "echoes as a broken header": lambda _: scripted(echoing("Bad Header\x01")),
    "echoes in JSON": lambda _: scripted(echoing_json),
}


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that anybody logs, also where an operator asks a library for its debug log by name."""
    caplog.set_level(logging.DEBUG)
    for name in LIBRARIES:
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@every_kind
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_no_canary_gets_out(
    kind: Kind,
    server: Callable[[Kind], AbstractAsyncContextManager[Server]],
    everything: pytest.LogCaptureFixture,
) -> None:
    asyncio.get_running_loop().set_debug(True)
    async with server(kind) as running:
        report = await verified(kind, running.url, timeout=0.3)
        draft = draft_of(kind.provider, kind.fields_at(running.url), kind.settings_at(running.url))
        failure = VerificationFailed(report)
        await asyncio.sleep(0)
    assert everything.records
    catalog = Catalog(discover().values(), policy(loopback().egress))
    shown = [everything.text, repr(report), str(report.to_json()), repr(failure), str(failure), repr(vars(failure))]
    shown += [repr(draft), str(draft), repr(catalog.view(draft)), str(report.found)]
    shown += [f"{vars(record)}" for record in everything.records]
    assert [leaks(kind, text) for text in shown if leaks(kind, text)] == []


@every_kind
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_no_canary_is_in_what_is_raised(
    kind: Kind, server: Callable[[Kind], AbstractAsyncContextManager[Server]]
) -> None:
    """Nor in the texts of what it was raised from, nor in the bucket that raised it."""
    raised: list[ProviderFailure] = []
    async with server(kind) as running, _opened(kind, running.url) as bucket:
        for attempt in (bucket.put("key", BytesBody(b"x")), bucket.delete("key")):
            try:
                async with asyncio.timeout(0.3):
                    await attempt
            except TimeoutError:
                continue
            except ProviderFailure as failure:
                raised.append(failure)
        assert leaks(kind, f"{bucket!r} {vars(bucket)}") == []
    for error in raised:
        text = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert leaks(kind, text) == []


def _opened(kind: Kind, url: str) -> AbstractAsyncContextManager[Any]:
    return opened(kind.provider, kind.fields_at(url), kind.settings_at(url))


async def _rejected(kind: Kind, url: str, **changed: Any) -> str:
    """Return all that is shown of a rejected secret."""
    async with opened(kind.provider, {**kind.fields_at(url), **changed}, kind.settings_at(url)) as bucket:
        with pytest.raises(CredentialsRejected) as rejected:
            await bucket.put("key", BytesBody(b"x"))
    return "".join(traceback.format_exception(rejected.value)) + repr(vars(rejected.value))


async def test_what_a_server_quotes_of_a_rejected_secret_goes_no_further(
    swift_auto: StorageServer, azurite: AzuriteServer, everything: pytest.LogCaptureFixture
) -> None:
    """Key ids, signatures and the strings that were signed stand in the vendors' own documents."""
    oss, azure, account = KINDS["oss"], KINDS["azure"], KINDS["gcs by account"]
    keys = {"gcs_access_key": "test:tester", "gcs_secret_key": S3_SECRET}
    shown = await _rejected(KINDS["gcs by HMAC"], swift_auto.url, **keys)
    assert leaks(KINDS["gcs by HMAC"], shown + everything.text) == []
    shown += await _rejected(azure, azurite.url, azure_account_key=AZURE_KEY[44:] + AZURE_KEY[:44])
    assert found(shown + everything.text) == set()
    async with oss_server({"LTAI5tCANARYCANARY": User("another")}, {"files": "cn-hangzhou"}, path_style=True) as server:
        assert leaks(oss, await _rejected(oss, server.url) + everything.text) == []
    google = Google()
    stranger = account.fields["gcs_service_account_json"] | {"private_key": private_key(1)}
    async with google.serving() as server:
        google.service_account(EMAIL)
        shown = await _rejected(account, server.url, gcs_service_account_json=stranger)
    assert leaks(account, shown + everything.text) == []


@every_kind
def test_the_canaries_would_be_seen(kind: Kind) -> None:
    """What shows a secret on purpose does, in each form: else the tests above would mean nothing."""
    url = "http://127.0.0.1:9"
    draft = draft_of(kind.provider, kind.fields_at(url), kind.settings_at(url))
    assert leaks(kind, repr(raw(draft))) == list(kind.secrets)
    for secret in kind.secrets:
        assert all(leaks(kind, f"before {form} after") for form in forms(secret))


async def test_the_sdk_of_oss_would_log_key_ids(everything: pytest.LogCaptureFixture) -> None:
    """If it were let: with its own loggers' levels set back once it has signed, the canary is seen."""
    kind = KINDS["oss"]
    async with hostile.accepting() as server, _opened(kind, server.url) as bucket:
        await bucket.abandon("key", {"upload": "1"})
        assert leaks(kind, everything.text) == []
        everything.set_level(logging.DEBUG, logger="oss2.auth")
        await bucket.abandon("key", {"upload": "1"})
    assert leaks(kind, everything.text) == ["LTAI5tCANARYCANARY"]
