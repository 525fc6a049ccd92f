"""Google Cloud Storage, with one of two kinds of credentials.

Interoperability (HMAC) keys sign requests to the XML API as AWS Signature 4 does, for the region `auto`:
https://cloud.google.com/storage/docs/authentication/signatures. A service account goes through gcloud-aio-storage to the JSON
API: `gcs_json.py`.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from marshmallow import ValidationError
from multidict import MultiMapping

from consignee.body import Body
from consignee.destination import Draft
from consignee.path_prefix import fixed_part
from consignee.providers import gcs_json, sigv4
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import KEY_ID, DestinationFields, prefix, text
from consignee.providers.refusals import (
    BUSY,
    DENIED,
    FAULT,
    LATE,
    NO_BUCKET,
    SKEW,
    TEMPORARY,
    UNKNOWN_KEY,
    WRONG_SECRET,
    Dialect,
    Meaning,
)
from consignee.providers.s3 import LIKE_AN_ADDRESS, in_place
from consignee.providers.s3_bucket import S3Bucket
from consignee.transport import Answer, Transport

VENDOR: Final = "https://storage.googleapis.com"
_ALTERNATIVE: Final = "gcs_service_account_json"
_BUCKET = re.compile(r"(?=.{3,222}$)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*")


def _bucket_name(value: str) -> None:
    """https://cloud.google.com/storage/docs/buckets#naming"""
    if not _BUCKET.fullmatch(value) or LIKE_AN_ADDRESS.fullmatch(value):
        raise ValidationError(
            "must be the name of a bucket: lower-case letters, digits, dots, hyphens and underscores, not a gs:// URL"
        )


class GcsFields(DestinationFields):
    """The fields of a bucket at Google."""

    prefix_field = "gcs_path_prefix"

    gcs_access_key = text("HMAC access key", required=True, secret=True, check=KEY_ID, longest=256, unless=_ALTERNATIVE)
    gcs_secret_key = text("HMAC secret", required=True, secret=True, unless=_ALTERNATIVE)
    gcs_bucket_name = text("Bucket name", required=True, check=_bucket_name)
    gcs_path_prefix = prefix()
    gcs_service_account_json = text(
        "Service account key (JSON)",
        secret=True,
        help="In place of the two HMAC keys: the key file of a service account.",
        longest=16384,
        multiline=True,
        field=gcs_json.ServiceAccount,
    )


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket, by HMAC keys or by service account."""
    name = draft.settings["gcs_bucket_name"]
    if _ALTERNATIVE in draft.secrets:
        async with gcs_json.open_bucket(draft.secrets[_ALTERNATIVE], name, transport) as bucket:
            yield bucket
        return
    key_id, secret = draft.secrets["gcs_access_key"], draft.secrets["gcs_secret_key"]
    signer = await sigv4.Signer.load(key_id.reveal(), secret, extra="gcs")
    url = in_place(transport.endpoint_url or VENDOR, name)
    yield GcsBucket(signer, transport, lambda region: url, region="auto", fixed_region=True)


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return the custom role and its binding on the bucket: create and delete under the prefix, and nothing else."""
    bucket = draft.settings["gcs_bucket_name"]
    begin = f"projects/_/buckets/{bucket}/objects/{fixed_part(draft.settings.get('gcs_path_prefix', ''))}"
    expression = f"resource.name.startsWith({json.dumps(begin, ensure_ascii=False)})"
    permissions = ["storage.objects.create", "storage.objects.delete", "storage.multipartUploads.create"]
    return {
        "role": {
            "title": "consignee uploads",
            "includedPermissions": [*permissions, "storage.multipartUploads.abort"],
        },
        "binding": {
            "role": "projects/PROJECT/roles/consigneeUploads",
            "members": ["serviceAccount:NAME@PROJECT.iam.gserviceaccount.com"],
            "condition": {
                "title": "under the prefix",
                "expression": expression,
            },
        },
    }


class GcsBucket(S3Bucket):
    """A bucket at the XML API. What was sent in parts has no MD5 there, but each part is checked by its own.

    https://cloud.google.com/storage/docs/xml-api/post-object-complete
    """

    extra = "gcs"

    @property
    def dialect(self) -> Dialect:
        """How Google refuses there."""
        return XML

    def _is_same(self, answer: Answer, body: Body) -> bool:
        hashes = dict(part.strip().split("=", 1) for part in _hashes(answer) if "=" in part)
        return hashes.get("md5") in (None, base64.b64encode(body.md5).decode())


def _hashes(answer: Answer) -> list[str]:
    """Return such as `md5=…`; the header comes once for each kind, or once with all.

    https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
    """
    headers = answer.headers
    lines = headers.getall("x-goog-hash", []) if isinstance(headers, MultiMapping) else [headers.get("x-goog-hash", "")]
    return [part for line in lines for part in line.split(",")]


BY_CODE: Final[Mapping[str, Meaning]] = {
    "InvalidAccessKeyId": UNKNOWN_KEY,
    "InvalidSecurity": UNKNOWN_KEY,
    "SignatureDoesNotMatch": WRONG_SECRET,
    "AuthenticationRequired": UNKNOWN_KEY,
    "ExpiredToken": TEMPORARY,
    "AccessDenied": DENIED,
    "RetentionPolicyNotMet": DENIED,
    "ObjectUnderActiveHold": DENIED,
    "AccountProblem": gcs_json.BILLING,
    "UserProjectAccountProblem": gcs_json.BILLING,
    "UserProjectMissing": gcs_json.BILLING,
    "UserProjectInvalid": gcs_json.BILLING,
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    "RequestTimeTooSkewed": SKEW,
    "ExpiredPolicyDocument": SKEW,
    "SlowDown": BUSY,
    "TooManyRequests": BUSY,
    "ServiceUnavailable": BUSY,
    "RequestTimeout": LATE,
    "BadDigest": FAULT,
    "InternalError": FAULT,
}
"""https://cloud.google.com/storage/docs/xml-api/reference-status"""

XML: Final = Dialect(by_code=BY_CODE, request_id_header="x-guploader-uploadid")
PROVIDER = Provider(
    type="gcs",
    label="Google Cloud Storage",
    fields=GcsFields,
    open=open_bucket,
    policy=policy,
    extra="gcs",
    modules=("aiobotocore", "gcloud.aio.storage"),
)
