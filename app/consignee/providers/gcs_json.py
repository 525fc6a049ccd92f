"""Google Cloud Storage by service account: https://cloud.google.com/storage/docs/json_api/v1/objects/insert

gcloud-aio-storage asks for the token and makes the requests, on our transport. What it is given is checked first, and made anew
from just four members: left to itself it falls back on the machine's own identity, reads files of the host, and posts to
addresses that stand in the JSON.
"""

import asyncio
import base64
import importlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from marshmallow import ValidationError

from consignee import errors
from consignee.body import Body, BytesBody
from consignee.errors import MissingExtra, NotAStorageService, ProviderError, ProviderFailure
from consignee.providers.base import Bucket
from consignee.providers.fields import Text
from consignee.providers.refusals import BUSY, DENIED, FAULT, NO_BUCKET, SKEW, Dialect, Meaning
from consignee.providers.signed import accepted_oddly
from consignee.secret import Secret
from consignee.transport import Answer, Transport

VENDOR: Final = "https://storage.googleapis.com"
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105
UNIVERSE: Final = "googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
_MEMBERS: Final = ("type", "client_email", "private_key", "private_key_id", "token_uri")
_LIFETIME: Final = 3600
_MARGIN: Final = 60
"""Seconds for which a token holds at most, and those before its end in which it is not used any more."""
_KEY_LENGTH: Final = 4096
"""Characters that a key of 4,096 bits fits in: to check one of 16,384 takes some 20 seconds."""


class ServiceAccount(Text):
    """The key file of a service account, as a JSON object or as its text; kept are only the members that are needed."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        account = value if isinstance(value, dict) else _parsed(value)
        for name, right in (("type", "service_account"), ("token_uri", TOKEN_URI)):
            if account.get(name) != right:
                raise ValidationError(f"must have {right} as its {name}")
        if account.get("universe_domain", UNIVERSE) != UNIVERSE:
            raise ValidationError(f"must be of the universe {UNIVERSE}")
        kept = {name: account[name] for name in _MEMBERS if name in account}
        if not all(isinstance(member, str) for member in kept.values()) or "@" not in kept.get("client_email", ""):
            raise ValidationError("must be the whole key file of a service account, with its client_email")
        _check_key(kept.get("private_key", ""))
        return super()._deserialize(json.dumps(kept), attr, data, **kwargs)


def _parsed(value: object) -> Mapping[str, Any]:
    try:
        return _object(value if isinstance(value, str) else "")
    except ValueError:
        raise ValidationError("must be the key file of a service account: a JSON object") from None


def _object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a text holds; raises ValueError if it is anything else."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _check_key(pem: str) -> None:
    """Look at the size first: to check a large key takes seconds."""
    try:
        key = _key(pem) if len(pem) <= _KEY_LENGTH else None
        if not isinstance(key, RSAPrivateKey) or not 2048 <= key.key_size <= 4096:
            raise ValueError("not such a key")
        load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValidationError("must hold the service account's private_key, an RSA key in PEM") from None


def _key(pem: str) -> Any:
    return load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)


@asynccontextmanager
async def open_bucket(account: Secret, name: str, transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket; the SDK is imported in a thread. Raises MissingExtra if it is not installed."""
    try:
        sdk = await asyncio.to_thread(importlib.import_module, "gcloud.aio.storage")
        auth = await asyncio.to_thread(importlib.import_module, "gcloud.aio.auth")
    except ModuleNotFoundError as error:
        raise MissingExtra("gcs") from error
    yield JsonBucket(sdk, auth, account, name, transport)


class JsonBucket(Bucket):
    """A bucket at the JSON API."""

    def __init__(self, sdk: Any, auth: Any, account: Secret, name: str, transport: Transport) -> None:
        self._name = name
        own = transport.endpoint_url.rstrip("/")
        carrier: Any = _Carrier(transport)
        service = io.StringIO(account.reveal())
        self._token = auth.Token(service_file=service, session=carrier, scopes=[SCOPE])
        # It was checked when it came; the library would check it again for every token, which takes 30 ms.
        self._token.service_data["private_key"] = _key(self._token.service_data["private_key"])
        self._storage = sdk.Storage(token=self._token, session=carrier, api_root=own or VENDOR, api_is_dev=False)
        self._token_good_until = 0.0
        self.found: dict[str, str] = {}

    async def put(self, key: str, body: Body) -> None:
        """Write the object with one upload, and see from the answer that it is the one that was sent."""
        content = b"".join([chunk async for chunk in body.chunks()])
        try:
            await self._authorize()
            made = await self._storage.upload(
                self._name, key, content, content_type="application/octet-stream", force_resumable_upload=False
            )
        except _Refused as refused:
            raise _failure(refused.answer) from None
        except (ValueError, TypeError, LookupError):
            raise NotAStorageService("The endpoint does not answer like Google Cloud Storage.") from None
        if not isinstance(made, dict) or (made.get("bucket"), made.get("name")) != (self._name, key):
            raise accepted_oddly("The endpoint accepted the file, but not like Google Cloud Storage.")
        sent = base64.b64encode(body.md5).decode()
        if made.get("md5Hash", sent) != sent:
            raise ProviderError("The storage did not receive the file as it was sent.")

    async def delete(self, key: str) -> None:
        """Remove the object."""
        try:
            await self._authorize()
            await self._storage.delete(self._name, key)
        except _Refused as refused:
            if not (refused.answer.status == 404 and b"No such object" in refused.answer.body):
                raise _failure(refused.answer) from None

    async def _authorize(self) -> None:
        """Ask for the token ourselves, in time: the library would try five times, in a task of its own."""
        now = datetime.now(UTC).timestamp()
        if now < self._token_good_until:
            return
        try:
            token = await self._token.refresh(timeout=10)
        except (ValueError, TypeError, LookupError, OverflowError):
            raise NotAStorageService("The endpoint for tokens does not answer like Google's.") from None
        self._token.access_token = token.value
        lasts = min(max(token.expires_in - _MARGIN, _MARGIN), _LIFETIME)
        self._token_good_until = now + lasts
        self._token.access_token_preempt_after = self._token.access_token_refresh_after = int(now + lasts + _MARGIN)


class _Refused(Exception):
    """Anything but success: the library takes a redirect for one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Reply:
    """What the library needs of an answer."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self._body = answer.body

    async def text(self, **_: Any) -> str:
        return self._body.decode(errors="replace")

    async def json(self, **_: Any) -> Any:
        return _object(self._body)


class _Carrier:
    """What the library takes for an aiohttp session: every request goes through our transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        own = transport.endpoint_url.rstrip("/")
        # The operator's endpoint gives the tokens too, for the audience that Google's own expects.
        self._token_url = f"{own}/token" if own else TOKEN_URI

    async def post(self, url: str, *, data: Any, headers: Mapping[str, str], params: Any, timeout: Any) -> _Reply:
        content = data.encode() if isinstance(data, str) else data.read()
        return await self._send(
            "POST", self._token_url if url == TOKEN_URI else url, params, headers, BytesBody(content)
        )

    async def delete(self, url: str, *, headers: Mapping[str, str], params: Any, timeout: Any) -> _Reply:
        return await self._send("DELETE", url, params, headers, None)

    async def _send(self, method: str, url: str, params: Any, headers: Mapping[str, str], body: Body | None) -> _Reply:
        target = f"{url}?{urlencode(params, quote_via=quote)}" if params else url
        answer = await self._transport.send(method, target, headers=headers, body=body)
        right = answer.status == 204 if method == "DELETE" else answer.status == 200
        if not right:
            raise _Refused(answer)
        return _Reply(answer)


def _failure(answer: Answer) -> ProviderFailure:
    return JSON.failure(answer, now=datetime.now(UTC))


def _code(answer: Answer) -> str:
    """The reason of a storage error, or the error of a token request."""
    try:
        error = _object(answer.body)["error"]
        code = error if isinstance(error, str) else error["errors"][0]["reason"]
    except (ValueError, TypeError, LookupError):
        return ""
    return code if isinstance(code, str) else ""


def _special(answer: Answer, meaning: Meaning) -> Meaning:
    code = _code(answer)
    if code == "invalid_grant" and b"reasonable timeframe" in answer.body:
        return SKEW
    # A bucket of which the requester pays says so with the word that else means a missing token.
    return BILLING if code == "required" and answer.status == 400 else meaning


_REJECTED: Final = Meaning(
    errors.CredentialsRejected,
    "Google does not accept the service account's key.",
    "Check that the service account exists and is enabled, and that this key of it was not deleted; else make a new key.",
)
BILLING: Final = Meaning(
    errors.AccessDenied,
    "The project of the bucket is disabled, or has no billing.",
    "Look at the state and the billing of the project in the Google Cloud console.",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "invalid_grant": _REJECTED,
    "invalid_client": _REJECTED,
    "disabled_client": _REJECTED,
    "deleted_client": _REJECTED,
    "unauthorized_client": _REJECTED,
    "invalid_scope": _REJECTED,
    "access_denied": _REJECTED,
    "authError": _REJECTED,
    "required": _REJECTED,
    "forbidden": DENIED,
    "insufficientPermissions": DENIED,
    "retentionPolicyNotMet": DENIED,
    "accountDisabled": BILLING,
    "userProjectAccountProblem": BILLING,
    "userProjectInvalid": BILLING,
    "userProjectMissing": BILLING,
    "notFound": NO_BUCKET,
    "invalid": NO_BUCKET,
    "rateLimitExceeded": BUSY,
    "userRateLimitExceeded": BUSY,
    "backendError": FAULT,
    "internalError": FAULT,
}
"""https://cloud.google.com/storage/docs/json_api/v1/status-codes, and for tokens https://developers.google.com/identity/protocols/oauth2/service-account"""

JSON: Final = Dialect(by_code=BY_CODE, request_id_header="x-guploader-uploadid", code=_code, special=_special)
