"""Azure Blob Storage: https://learn.microsoft.com/rest/api/storageservices/put-blob

Each request carries a shared access signature for just this blob and just this operation, made from the account's key.
"""

import asyncio
import base64
import binascii
import importlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError

from consignee.addresses import is_address
from consignee.body import Body, BytesBody
from consignee.destination import Draft
from consignee.errors import EndpointUnreachable, MissingExtra
from consignee.providers.azure_errors import AZURE
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import DestinationFields, matching, prefix, text
from consignee.providers.parts import UploadSpoiled
from consignee.providers.refusals import Dialect
from consignee.providers.signed import Signed, SignedBucket, accepted_oddly, upload_headers
from consignee.transport import Answer, Transport

VENDOR: Final = "https://{account}.blob.core.windows.net"
VERSION: Final = "2021-12-02"
_LIFETIME: Final = timedelta(minutes=15)
_PERMISSION: Final = {"PUT": "w", "DELETE": "d", "GET": "r"}


def _account_key(value: str) -> None:
    if " " in value:
        raise ValidationError(
            "must not hold a space: it was probably a + in a form, where it is written %2B; or send JSON"
        )
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValidationError(
            "must be the account's key in base64, as the Azure portal shows it, not a connection string"
        )


class AzureFields(DestinationFields):
    """The fields of a container at Azure."""

    prefix_field = "azure_path_prefix"

    azure_account_name = text(
        "Storage account name",
        required=True,
        check=matching(r"[a-z0-9]{3,24}", "the name of a storage account: 3 to 24 lower-case letters and digits"),
    )
    azure_account_key = text(
        "Storage account key", required=True, secret=True, help="key1 or key2 under Access keys.", check=_account_key
    )
    azure_container_name = text(
        "Container name",
        required=True,
        check=matching(
            r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*|\$root",
            "the name of a container: 3 to 63 lower-case letters, digits and single hyphens",
        ),
    )
    azure_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the container; the SDK is imported in a thread, and only signs."""
    try:
        sdk = await asyncio.to_thread(importlib.import_module, "azure.storage.blob")
    except ModuleNotFoundError as error:
        raise MissingExtra("azure") from error
    yield AzureBucket(sdk, draft, transport)


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return what is needed: the account's key grants everything, so this is for who hands out less than that."""
    settings = draft.settings
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    container = f"{settings['azure_account_name']}/blobServices/default/containers/{settings['azure_container_name']}"
    return {
        "Name": "consignee uploads",
        "Description": "Write and delete blobs, and nothing else.",
        "Actions": [],
        "DataActions": [f"{blobs}/write", f"{blobs}/add/action", f"{blobs}/delete"],
        "AssignableScopes": [
            "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Storage/storageAccounts/" + container
        ],
    }


def base_url(endpoint_url: str, account: str) -> str:
    """Return where an account is found: at Azure, or at the operator's endpoint; at a bare address it is the first folder.

    https://learn.microsoft.com/azure/storage/common/storage-use-azurite#ip-style-url
    """
    parts = urlsplit(endpoint_url or VENDOR)
    bare = "{account}" not in endpoint_url and parts.path in ("", "/") and is_address(parts.hostname or "")
    return f"{(endpoint_url or VENDOR).rstrip('/')}{'/{account}' if bare else ''}".replace("{account}", account)


class AzureBucket(SignedBucket):
    """A container. An upload in parts is known here alone: its id makes the names of its blocks.

    Blocks: https://learn.microsoft.com/rest/api/storageservices/put-block
    """

    most_parts = 50_000
    longest = 50_000 * 4_000 * 1024**2
    """https://learn.microsoft.com/rest/api/storageservices/understanding-block-blobs--append-blobs--and-page-blobs"""

    def __init__(self, sdk: Any, draft: Draft, transport: Transport) -> None:
        key = draft.secrets["azure_account_key"]
        super().__init__(transport, key_id=key.reveal(), secret=key)
        self._sdk = sdk
        self._key = key
        self._account = draft.settings["azure_account_name"]
        self._container = draft.settings["azure_container_name"]
        self._base = base_url(transport.endpoint_url, self._account)

    async def begin(self, key: str) -> str:
        """Return a new id; nothing is sent."""
        return token_hex(8)

    async def send_part(self, key: str, upload: str, number: int, body: Body) -> str:
        """Send one block; return its id."""
        block = block_id(upload, number)
        signed = self._signed("PUT", key, upload_headers(body), f"comp=block&blockid={quote(block, safe='')}&")
        answer = await self._carry("PUT", signed, body)
        self._confirm(answer, body)
        if not answer.headers.get("x-ms-request-id"):
            raise accepted_oddly("The endpoint accepted a block, but not like Azure: without a request id.")
        return block

    async def complete(self, key: str, upload: str, tags: list[str], body: Body) -> None:
        """Make the blob of its blocks, and give it the MD5 of the whole; may be repeated when its answer got lost.

        https://learn.microsoft.com/rest/api/storageservices/put-block-list
        """
        blocks = block_list(tags)
        headers = upload_headers(blocks) | {
            "x-ms-blob-content-type": "application/octet-stream",
            "x-ms-blob-content-md5": base64.b64encode(body.md5).decode(),
        }
        answer = await self._carry("PUT", self._signed("PUT", key, headers, "comp=blocklist&"), blocks)
        if self.dialect.provider_code(answer) == "InvalidBlockList":
            raise UploadSpoiled("The storage has discarded blocks of the file before the last of them arrived.")
        self._confirm_object(answer, blocks)

    async def abort(self, key: str, upload: str) -> None:
        """Do nothing: blocks without a blob can't be deleted. Azure discards them after a week, or when the blob is written."""

    def _is_same(self, answer: Answer, body: Body) -> bool:
        return answer.headers.get("Content-MD5") in (None, base64.b64encode(body.md5).decode())

    async def _carry(self, method: str, signed: Signed, body: Body | None = None) -> Answer:
        try:
            return await super()._carry(method, signed, body)
        except EndpointUnreachable as failure:
            if failure.hint == EndpointUnreachable.hint:  # else it is about our own proxy
                failure.hint = (
                    f"Check the account name: is there a storage account {self._account}? It answers at its own host."
                )
            raise

    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        headers = {"x-ms-blob-type": "BlockBlob", **upload_headers(body)} if body is not None else {}
        return self._signed(method, key, headers)

    def _signed(self, method: str, key: str, headers: Mapping[str, str], query: str = "") -> Signed:
        signature = self._sdk.generate_blob_sas(
            self._account,
            self._container,
            key,
            account_key=self._key.reveal(),
            permission=_PERMISSION[method],
            expiry=datetime.now(UTC) + _LIFETIME,
            protocol="https" if self._base.startswith("https:") else "https,http",
        )
        place = f"{self._base}/{self._container}/{quote(key, safe='/-_.~')}"
        return f"{place}?{query}{signature}", {"x-ms-version": VERSION, **headers}

    @property
    def dialect(self) -> Dialect:
        """How Azure refuses."""
        return AZURE


def block_id(upload: str, number: int) -> str:
    """Return the id of a block, in base64; all of an upload have one length, as Azure wants it."""
    return base64.b64encode(f"{upload}{number:08}".encode()).decode()


def block_list(blocks: Iterable[str]) -> Body:
    """Return the document that names the blocks of a blob in their order, each as it was sent last."""
    named = "".join(f"<Latest>{block}</Latest>" for block in blocks)
    return BytesBody(f'<?xml version="1.0" encoding="utf-8"?><BlockList>{named}</BlockList>'.encode())


PROVIDER = Provider(
    type="azure",
    label="Azure Blob Storage",
    fields=AzureFields,
    open=open_bucket,
    policy=policy,
    extra="azure",
    modules=("azure.storage.blob",),
)
