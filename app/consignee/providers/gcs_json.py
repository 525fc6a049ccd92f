"""Google Cloud Storage by service account: https://cloud.google.com/storage/docs/json_api/v1/objects/insert

gcloud-aio-storage asks for the token, writes what is small and deletes, with requests that our transport carries. What is large
goes in pieces: `gcs_resumable.py`.
"""

import asyncio
import base64
import importlib
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from consignee.body import Body, BytesBody
from consignee.errors import MissingExtra, NotAStorageService, ProviderError, ProviderFailure
from consignee.providers.base import Bucket, Checkpoint, Missing
from consignee.providers.gcs_account import TOKEN_URI, ServiceAccount, json_object, private_key
from consignee.providers.gcs_json_errors import BILLING, BY_CODE, JSON, Refused, failure
from consignee.providers.gcs_resumable import ResumableUpload, abandon
from consignee.providers.gcs_session import CONTENT_TYPE, Corrupted, Sessions
from consignee.providers.gcs_token import SharedToken, TokenCache
from consignee.providers.ranges import asked, is_beyond, section
from consignee.providers.refusals import unrepeated
from consignee.providers.signed import accepted_oddly
from consignee.secret import Secret
from consignee.transport import Answer, Transport

__all__ = ["BILLING", "BY_CODE", "JSON", "ServiceAccount", "open_bucket"]

VENDOR: Final = "https://storage.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
Outcome = TypeVar("Outcome")


@asynccontextmanager
async def open_bucket(account: Secret, name: str, transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket; the SDK is imported in a thread. Raises MissingExtra if it is not installed."""
    try:
        sdk = await asyncio.to_thread(importlib.import_module, "gcloud.aio.storage")
        auth = await asyncio.to_thread(importlib.import_module, "gcloud.aio.auth")
    except ModuleNotFoundError as error:
        raise MissingExtra("gcs") from error
    shared = transport.lasting(TokenCache).token(account, transport.endpoint_url)
    if transport.proving:
        shared.drop()
    yield JsonBucket(sdk, _Bearer(auth, account, shared, _Carrier(transport)), name, transport)


class JsonBucket(Bucket):
    """A bucket at the JSON API."""

    def __init__(self, sdk: Any, bearer: "_Bearer", name: str, transport: Transport) -> None:
        self._name = name
        self._bearer = bearer
        self._transport = transport
        self._parts = transport.parts
        root = transport.endpoint_url.rstrip("/") or VENDOR
        self._objects = f"{root}/storage/v1/b/{quote(name, safe='')}/o"
        self._sessions = Sessions(transport, root)
        carrier: Any = _Carrier(transport)
        self._storage = sdk.Storage(token=bearer, session=carrier, api_root=root, api_is_dev=False)
        self.found: dict[str, str] = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        """Write the object with one upload or, if it is large, in pieces, and see from the answer that it is what was sent."""
        try:
            if body.length > self._parts.threshold:
                await self._put_large(key, body, checkpoint)
            else:
                self._confirm(key, body, await self._asked(lambda: self._upload(key, body)))
        except Corrupted:
            raise ProviderError("The storage did not receive the file as it was sent.") from None

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:
        """Cancel the session."""
        await abandon(self._sessions, state)

    async def delete(self, key: str) -> None:
        """Remove the object."""
        await self._asked(lambda: self._remove(key))

    async def read(self, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield a section with one GET; a token that is refused is renewed once.

        https://cloud.google.com/storage/docs/json_api/v1/objects/get
        """
        url, token = f"{self._objects}/{quote(key, safe='')}?alt=media", None
        while True:
            before, token = token, await self._bearer.token()
            headers = {"Authorization": f"Bearer {token.reveal()}", **asked(start, length)}
            async with self._transport.fetch(url, headers=headers, most=length) as arrival:
                if 200 <= arrival.status < 300:
                    async for piece in section(arrival, start, length):
                        yield piece
                    return
                answer = unrepeated(await arrival.answer(), [token.reveal()])
            if is_beyond(answer) or _is_absent(answer):
                raise Missing
            if answer.status != 401 or before is not None:
                raise failure(answer)
            self._bearer.drop()

    async def _put_large(self, key: str, body: Body, checkpoint: Checkpoint | None) -> None:
        kept = checkpoint or Checkpoint()
        upload = ResumableUpload(
            self._sessions,
            key,
            body,
            kept,
            parts=self._parts,
            begin=lambda: self._asked(lambda: self._begin(key, body)),
            confirm=lambda made: self._confirm(key, body, made),
        )
        try:
            await upload.run()
        except BaseException:
            if checkpoint is None:
                with suppress(ProviderFailure):
                    await asyncio.shield(self.abandon(key, kept.state))
            raise

    async def _begin(self, key: str, body: Body) -> Secret:
        return await self._sessions.begin(self._name, key, body, token=await self._bearer.token())

    async def _upload(self, key: str, body: Body) -> Any:
        return await self._storage.upload(
            self._name, key, _Content(body), content_type=CONTENT_TYPE, force_resumable_upload=False
        )

    async def _remove(self, key: str) -> None:
        try:
            await self._storage.delete(self._name, key)
        except Refused as refused:
            if not _is_absent(refused.answer):
                raise

    async def _asked(self, ask: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Return what the storage answers; a token that it refuses, which may have been an older one, is renewed once."""
        try:
            try:
                return await ask()
            except Refused as refused:
                if refused.answer.status != 401:
                    raise
                self._bearer.drop()
                return await ask()
        except Refused as refused:
            raise failure(refused.answer) from None

    def _confirm(self, key: str, body: Body, made: Mapping[str, Any]) -> None:
        if (made.get("bucket"), made.get("name")) != (self._name, key):
            raise accepted_oddly("The endpoint accepted the file, but not like Google Cloud Storage.")
        sent = base64.b64encode(body.md5).decode()
        if made.get("md5Hash", sent) != sent:
            raise Corrupted


def _is_absent(answer: Answer) -> bool:
    return answer.status == 404 and b"No such object" in answer.body


class _Bearer:
    """What the library takes for a token of its own: the one that is shared, asked for by the library if it must be."""

    def __init__(self, auth: Any, account: Secret, shared: SharedToken, carrier: "_Carrier") -> None:
        self._auth = auth
        self._account = account
        self._shared = shared
        self._carrier = carrier
        self._used: Secret | None = None

    async def token(self) -> Secret:
        """Return a good token; raises a ProviderFailure if there is none to be had."""
        self._used = await self._shared.get(self._fetch)
        return self._used

    async def get(self) -> str:
        """Return it as the library wants it."""
        return (await self.token()).reveal()

    def drop(self) -> None:
        """Forget the token that was used last."""
        self._shared.drop(self._used)

    async def _fetch(self) -> Any:
        """Ask once, in time: left to itself, the library would try five times, in a task of its own."""
        file = io.StringIO(self._account.reveal())
        token = self._auth.Token(service_file=file, session=self._carrier, scopes=[SCOPE])
        # It was checked when it came; the library would do it again for every token.
        token.service_data["private_key"] = private_key(token.service_data["private_key"])
        try:
            return await token.refresh(timeout=10)
        except Refused as refused:
            raise failure(refused.answer) from None
        except (NotAStorageService, ValueError, TypeError, LookupError, OverflowError):
            raise NotAStorageService("The endpoint for tokens does not answer like Google's.") from None


class _Content(io.RawIOBase):
    """What the library takes for a file: it asks for the length, and hands it on to the carrier, which sends the body."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.body.length if whence == os.SEEK_END else offset


class _Reply:
    """What the library needs of an answer."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self._body = answer.body

    async def text(self, **_: Any) -> str:
        return self._body.decode(errors="replace")

    async def json(self, **_: Any) -> Any:
        try:
            return json_object(self._body)
        except ValueError:
            raise NotAStorageService("The endpoint does not answer like Google Cloud Storage.") from None


class _Carrier:
    """What the library takes for an aiohttp session: every request goes through our transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        own = transport.endpoint_url.rstrip("/")
        # The operator's endpoint gives the tokens too, for the audience that Google's own expects.
        self._token_url = f"{own}/token" if own else TOKEN_URI

    async def post(self, url: str, *, data: Any, headers: Mapping[str, str], params: Any, timeout: Any) -> _Reply:
        target = self._token_url if url == TOKEN_URI else url
        if isinstance(data, _Content):
            return await self._send("POST", target, params, headers, data.body)
        return await self._send("POST", target, params, headers, BytesBody(data.encode()), proof=data)

    async def delete(self, url: str, *, headers: Mapping[str, str], params: Any, timeout: Any) -> _Reply:
        return await self._send("DELETE", url, params, headers, None)

    async def _send(
        self, method: str, url: str, params: Any, headers: Mapping[str, str], body: Body | None, *, proof: str = ""
    ) -> _Reply:
        target = f"{url}?{urlencode(params, quote_via=quote)}" if params else url
        answer = await self._transport.send(method, target, headers=headers, body=body)
        right = answer.status == 204 if method == "DELETE" else answer.status == 200
        if not right:
            raise Refused(unrepeated(answer, [headers.get("Authorization", ""), proof]))
        return _Reply(answer)
