"""Amazon S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

The bucket's region is not asked for: a refusal names it, the request is repeated there once, and the region is remembered.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import md5
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError

from consignee.body import Body
from consignee.destination import Draft
from consignee.path_prefix import fixed_part
from consignee.providers import sigv4
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import KEY_ID, DestinationFields, prefix, text
from consignee.providers.s3_bucket import Completed, Locate, S3Bucket
from consignee.transport import Answer, Transport

FIRST_REGION: Final = "us-east-1"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_OF_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]+")
PLAIN: Final = "AES256"
_SSE_C: Final = "x-amz-server-side-encryption-customer-algorithm"
LIKE_AN_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def _bucket_name(value: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    if not (3 <= len(value) <= 63 and _BUCKET.fullmatch(value)) or LIKE_AN_ADDRESS.fullmatch(value):
        raise ValidationError(
            "must be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, not an ARN or a URL"
        )


class S3Fields(DestinationFields):
    """The fields of a bucket at Amazon."""

    prefix_field = "s3_path_prefix"

    s3_access_key_id = text(
        "Access key ID",
        required=True,
        secret=True,
        check=KEY_ID,
        longest=256,
    )
    s3_secret_access_key = text("Secret access key", required=True, secret=True)
    s3_bucket_name = text("Bucket name", required=True, check=_bucket_name)
    s3_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket; signs for the region found earlier, or for the first one until a refusal names the right one."""
    secret = draft.secrets["s3_secret_access_key"]
    signer = await sigv4.Signer.load(draft.secrets["s3_access_key_id"].reveal(), secret, extra="s3")
    locate = at_amazon(draft.settings["s3_bucket_name"], transport.endpoint_url)
    yield AmazonBucket(signer, transport, locate, region=found.get("region", FIRST_REGION))


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return the IAM policy: put, delete and abort under the prefix, and nothing else."""
    folder = re.sub(r"[*?$]", r"${\g<0>}", fixed_part(draft.settings.get("s3_path_prefix", "")))
    objects = f"{draft.settings['s3_bucket_name']}/{folder}*"
    actions = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{objects}"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def at_amazon(bucket: str, endpoint_url: str) -> Locate:
    """Return how to find a bucket at Amazon, or at the operator's own endpoint."""

    def locate(region: str) -> str:
        if endpoint_url:
            return in_place(endpoint_url.replace("{region}", region), bucket)
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        host = f"https://s3.{region}.{suffix}"
        # A certificate for *.s3.… does not cover a name with a dot in it.
        return f"{host}/{bucket}" if "." in bucket else virtual(host, bucket)

    return locate


def in_place(endpoint_url: str, bucket: str) -> str:
    """Return the URL of a bucket where the endpoint itself says: at `{bucket}`, or as the first folder."""
    if "{bucket}" in endpoint_url:
        return endpoint_url.replace("{bucket}", bucket)
    return f"{endpoint_url.rstrip('/')}/{bucket}"


def virtual(endpoint_url: str, bucket: str) -> str:
    """Return the virtual-host style URL of a bucket."""
    scheme, host = urlsplit(endpoint_url)[:2]
    return f"{scheme}://{bucket}.{host}"


class AmazonBucket(S3Bucket):
    """A bucket at Amazon, where an ETag is an MD5 unless a key of the customer's encrypts the object.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """

    def _is_same(self, answer: Answer, body: Body) -> bool:
        etag = answer.headers.get("ETag", "").strip('" ')
        plain = answer.headers.get("x-amz-server-side-encryption", PLAIN) == PLAIN and _SSE_C not in answer.headers
        return not plain or not _MD5.fullmatch(etag) or etag == body.md5.hex()

    def _is_whole(self, made: Completed, tags: Sequence[str]) -> bool:
        if made.encryption not in ("", PLAIN) or not all(_MD5.fullmatch(tag) for tag in tags):
            return True
        joined = md5(b"".join(bytes.fromhex(tag) for tag in tags), usedforsecurity=False).hexdigest()
        return not _MD5_OF_PARTS.fullmatch(made.etag) or made.etag == f"{joined}-{len(tags)}"


PROVIDER = Provider(
    type="s3",
    label="Amazon S3",
    fields=S3Fields,
    open=open_bucket,
    policy=policy,
    extra="s3",
    modules=("aiobotocore",),
)
