"""Crate, a storage service made up for docs/writing-a-provider.md: `PUT` and `DELETE` of /BUCKET/KEY, with a token."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

from consignee import errors
from consignee.body import Body
from consignee.destination import Draft
from consignee.providers.base import Bucket, Checkpoint, Provider
from consignee.providers.fields import DestinationFields, matching, prefix, text
from consignee.transport import Answer, Transport


class CrateFields(DestinationFields):
    prefix_field = "crate_path_prefix"

    crate_token = text("Token", required=True, secret=True, check=matching(r"[!-~]+", "a token, without spaces"))
    crate_bucket_name = text("Bucket name", required=True, check=matching(r"[a-z0-9-]{3,63}", "the name of a bucket"))
    crate_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    yield CrateBucket(draft, transport)


class CrateBucket(Bucket):
    def __init__(self, draft: Draft, transport: Transport) -> None:
        self.found = {}
        self._url = f"{transport.endpoint_url or 'https://crate.example'}/{draft.settings['crate_bucket_name']}"
        self._token = draft.secrets["crate_token"]
        self._transport = transport

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        answer = await self._send("PUT", key, body)
        if "ETag" not in answer.headers:
            raise errors.NotAStorageService("The endpoint accepted the file, but not like Crate does: without an ETag.")

    async def delete(self, key: str) -> None:
        await self._send("DELETE", key)  # Crate answers 204 also when there is none

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"}
        answer = await self._transport.send(method, f"{self._url}/{quote(key)}", headers=headers, body=body)
        if answer.status >= 300:
            kind, message = FAILURES.get(answer.status, (errors.ProviderError, "Crate reported an error."))
            raise kind(message)
        return answer


FAILURES: Mapping[int, tuple[type[errors.ProviderFailure], str]] = {
    401: (errors.CredentialsRejected, "Crate does not know this token."),
    403: (errors.AccessDenied, "Crate refused access."),
    404: (errors.BucketNotFound, "There is no such bucket."),
    429: (errors.Throttled, "Crate asked us to slow down."),
    **dict.fromkeys(range(300, 400), (errors.RedirectRefused, "The endpoint redirects; redirects are not followed.")),
}

PROVIDER = Provider(type="crate", label="Crate", fields=CrateFields, open=open_bucket)
