"""Azure Blob Storage: https://learn.microsoft.com/rest/api/storageservices/put-blob

Each request carries a shared access signature for just this blob and just this operation, made from the account's key.
"""

import asyncio
import base64
import binascii
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError

from consignee import errors
from consignee.addresses import is_address
from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import EndpointUnreachable, MissingExtra
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import DestinationFields, matching, prefix, text
from consignee.providers.refusals import ACCOUNT, BUSY, DENIED, FAULT, LATE, NO_BUCKET, SKEW, Dialect, Meaning, element
from consignee.providers.signed import Signed, SignedBucket, upload_headers
from consignee.transport import Answer, Transport

VENDOR: Final = "https://{account}.blob.core.windows.net"
VERSION: Final = "2021-12-02"
_LIFETIME: Final = timedelta(minutes=15)
_PERMISSION: Final = {"PUT": "w", "DELETE": "d"}


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
    """A container."""

    def __init__(self, sdk: Any, draft: Draft, transport: Transport) -> None:
        key = draft.secrets["azure_account_key"]
        super().__init__(transport, key_id=key.reveal(), secret=key)
        self._sdk = sdk
        self._key = key
        self._account = draft.settings["azure_account_name"]
        self._container = draft.settings["azure_container_name"]
        self._base = base_url(transport.endpoint_url, self._account)

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        try:
            return await super()._send(method, key, body)
        except EndpointUnreachable as failure:
            failure.hint = (
                f"Check the account name: is there a storage account {self._account}? It answers at its own host."
            )
            raise

    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        signature = self._sdk.generate_blob_sas(
            self._account,
            self._container,
            key,
            account_key=self._key.reveal(),
            permission=_PERMISSION[method],
            expiry=datetime.now(UTC) + _LIFETIME,
            protocol="https" if self._base.startswith("https:") else "https,http",
        )
        headers = {"x-ms-version": VERSION}
        if body is not None:
            headers |= {"x-ms-blob-type": "BlockBlob", **upload_headers(body)}
        return f"{self._base}/{self._container}/{quote(key, safe='/-_.~')}?{signature}", headers

    @property
    def dialect(self) -> Dialect:
        """How Azure refuses."""
        return AZURE


def _code(answer: Answer) -> str:
    return answer.headers.get("x-ms-error-code") or element(answer, "Code")


_REJECTED: Final = Meaning(
    errors.CredentialsRejected,
    "The storage refused the account key.",
    "Check the account name and its key: copy key1 or key2 again, whole; a key that was rotated no longer works.",
)
_FIREWALL: Final = Meaning(
    errors.AccessDenied,
    "The storage account refused access.",
    "Look at the storage account's network rules, and whether it allows access by account key (shared key).",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "AuthenticationFailed": _REJECTED,
    "InvalidAuthenticationInfo": _REJECTED,
    "NoAuthenticationInformation": _REJECTED,
    "AuthorizationFailure": _FIREWALL,
    "AccountIsDisabled": ACCOUNT,
    "AuthorizationPermissionMismatch": DENIED,
    "AuthorizationResourceTypeMismatch": DENIED,
    "AuthorizationServiceMismatch": DENIED,
    "AuthorizationProtocolMismatch": DENIED,
    "AuthorizationSourceIPMismatch": _FIREWALL,
    "InsufficientAccountPermissions": DENIED,
    "KeyBasedAuthenticationNotPermitted": _FIREWALL,
    "PublicAccessNotPermitted": DENIED,
    "BlobImmutableDueToPolicy": DENIED,
    "BlobImmutableDueToLegalHold": DENIED,
    "LeaseIdMissing": DENIED,
    "ContainerNotFound": NO_BUCKET,
    "ContainerBeingDeleted": NO_BUCKET,
    "ContainerDisabled": NO_BUCKET,
    "ResourceNotFound": NO_BUCKET,
    "InvalidResourceName": NO_BUCKET,
    "RequestTimeTooSkewed": SKEW,
    "ServerBusy": BUSY,
    "OperationTimedOut": LATE,
    "InternalError": FAULT,
    "Md5Mismatch": FAULT,
}
"""https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and common-rest-api-error-codes"""


def _special(answer: Answer, meaning: Meaning) -> Meaning:
    code = _code(answer)
    if code == "AuthenticationFailed" and b"specified time frame" in answer.body:
        return SKEW
    # Azurite says of a wrong key what Azure says of its firewall.
    if code == "AuthorizationFailure" and answer.headers.get("Server", "").startswith("Azurite"):
        return _REJECTED
    return meaning


AZURE: Final = Dialect(
    by_code=BY_CODE,
    request_id_header="x-ms-request-id",
    code=_code,
    special=_special,
    absent=frozenset({"BlobNotFound"}),
)
PROVIDER = Provider(
    type="azure", label="Azure Blob Storage", fields=AzureFields, open=open_bucket, policy=policy, extra="azure"
)
