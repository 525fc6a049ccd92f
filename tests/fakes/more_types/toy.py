"""A shelf of the toy shop: `PUT` and `DELETE` of `/shelf/key`, with the secret in the header `X-Toy-Key`.

All that a new destination type takes is in this one module.
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
)
from consignee.providers.base import Bucket, Checkpoint, Provider
from consignee.providers.fields import DestinationFields, Endpoint, matching, prefix, text
from consignee.secret import Secret
from consignee.transport import Answer, Transport


class ToyFields(DestinationFields):
    """The fields of a shelf."""

    prefix_field = "toy_path_prefix"

    toy_key = text("Key", required=True, secret=True)
    toy_endpoint = text("Shop", required=True, field=Endpoint)
    toy_shelf = text("Shelf", required=True, check=matching(r"[a-z-]+", "the name of a shelf"))
    toy_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the shelf."""
    shop = transport.endpoint_url or draft.settings["toy_endpoint"]
    yield Shelf(transport, f"{shop}/{draft.settings['toy_shelf']}", draft.secrets["toy_key"])


class Shelf(Bucket):
    """An open shelf."""

    def __init__(self, transport: Transport, url: str, key: Secret) -> None:
        self._transport = transport
        self._url = url
        self._key = key
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        answer = await self._send("PUT", key, body)
        if "ETag" not in answer.headers:
            raise NotAStorageService("The shop gave no receipt.")

    async def delete(self, key: str) -> None:
        await self._send("DELETE", key)

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        headers = {"X-Toy-Key": self._key.reveal(), "Content-Length": str(body.length if body else 0)}
        answer = await self._transport.send(method, f"{self._url}/{quote(key)}", headers=headers, body=body)
        if answer.status >= 300:
            raise FAILURES.get(answer.status, ProviderError)("The shop refused.")
        return answer


FAILURES: Final[Mapping[int, type[ProviderFailure]]] = {
    401: CredentialsRejected,
    403: AccessDenied,
    404: BucketNotFound,
}

PROVIDER = Provider(type="toy", label="Toy shop", fields=ToyFields, open=open_bucket)
