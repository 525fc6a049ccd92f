"""Crate, a storage service made up for docs/writing-a-provider.md: https://crate.example/api

`PUT` and `DELETE` of https://crate.example/BUCKET/KEY, with a token in the `Authorization` header.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import (
    AccessDenied,
    BucketNotFound,
    CredentialsRejected,
    NotAStorageService,
    ProviderError,
    ProviderFailure,
    RedirectRefused,
    Throttled,
)
from consignee.providers.base import Bucket, Checkpoint, Provider
from consignee.providers.fields import DestinationFields, matching, prefix, text
from consignee.secret import Secret
from consignee.transport import Answer, Transport

SERVICE: Final = "https://crate.example"


class CrateFields(DestinationFields):
    """The fields of a bucket at Crate."""

    prefix_field = "crate_path_prefix"

    crate_token = text("Token", required=True, secret=True, check=matching(r"[!-~]+", "a token, without spaces"))
    crate_bucket_name = text("Bucket name", required=True, check=matching(r"[a-z0-9-]{3,63}", "the name of a bucket"))
    crate_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket."""
    service = transport.endpoint_url or SERVICE
    yield CrateBucket(transport, f"{service}/{draft.settings['crate_bucket_name']}", draft.secrets["crate_token"])


class CrateBucket(Bucket):
    """A bucket at Crate."""

    def __init__(self, transport: Transport, url: str, token: Secret) -> None:
        self._transport = transport
        self._url = url
        self._token = token
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        """Write the object with one PUT."""
        answer = await self._send("PUT", key, body)
        if "ETag" not in answer.headers:
            raise NotAStorageService("The endpoint accepted the file, but not like Crate does: without an ETag.")

    async def delete(self, key: str) -> None:
        """Remove the object with one DELETE; Crate answers 204 also when there is none."""
        await self._send("DELETE", key)

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"}
        if body is not None:
            headers["Content-Length"] = str(body.length)
        answer = await self._transport.send(method, f"{self._url}/{quote(key)}", headers=headers, body=body)
        if answer.status >= 300:
            raise failure(answer)
        return answer


FAILURES: Final[Mapping[int, tuple[type[ProviderFailure], str]]] = {
    401: (CredentialsRejected, "Crate does not know this token."),
    403: (AccessDenied, "Crate refused access."),
    404: (BucketNotFound, "There is no such bucket."),
    429: (Throttled, "Crate asked us to slow down."),
}


def failure(answer: Answer) -> ProviderFailure:
    """Return what a refusal means; what Crate wrote is not passed on."""
    if 300 <= answer.status < 400:
        return RedirectRefused("The endpoint redirects elsewhere; redirects are not followed.")
    kind, message = FAILURES.get(answer.status, (ProviderError, "Crate reported an error."))
    return kind(message)


PROVIDER = Provider(type="crate", label="Crate", fields=CrateFields, open=open_bucket)
