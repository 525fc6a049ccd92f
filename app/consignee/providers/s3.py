"""Amazon S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

The bucket's region is not asked for: a refusal names it, the request is repeated there once, and the region is remembered.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError

from consignee.body import Body
from consignee.destination import Draft
from consignee.path_prefix import fixed_part
from consignee.providers import sigv4
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import KEY_ID, DestinationFields, prefix, text
from consignee.providers.refusals import Dialect
from consignee.providers.s3_errors import S3
from consignee.providers.signed import Signed, SignedBucket, upload_headers
from consignee.transport import Answer, Transport

FIRST_REGION: Final = "us-east-1"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
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
    yield S3Bucket(signer, transport, locate, region=found.get("region", FIRST_REGION))


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return the IAM policy: put, delete and abort under the prefix, and nothing else."""
    folder = re.sub(r"[*?$]", r"${\g<0>}", fixed_part(draft.settings.get("s3_path_prefix", "")))
    objects = f"{draft.settings['s3_bucket_name']}/{folder}*"
    actions = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{objects}"}
    return {"Version": "2012-10-17", "Statement": [statement]}


Locate = Callable[[str], str]
"""From a region to the URL of the bucket, without a slash at the end."""


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


class S3Bucket(SignedBucket):
    """A bucket that speaks the S3 protocol. With `fixed_region` the region is known, and no other is tried."""

    def __init__(
        self,
        signer: sigv4.Signer,
        transport: Transport,
        locate: Locate,
        *,
        region: str,
        fixed_region: bool = False,
    ) -> None:
        super().__init__(transport, key_id=signer.key_id, secret=signer.secret)
        self._signer = signer
        self._locate = locate
        self._region = region
        self._fixed_region = fixed_region

    @property
    def dialect(self) -> Dialect:
        """How S3 refuses."""
        return S3

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        answer = await super()._send(method, key, body)
        region = self.dialect.region(answer) if answer.status >= 300 else None
        if region is None or region == self._region or self._fixed_region:
            return answer
        self._region = self.found["region"] = region
        return await super()._send(method, key, body)

    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        url = f"{self._locate(self._region)}/{quote(key, safe='/-_.~')}"
        headers = upload_headers(body) if body else {}
        payload = sigv4.payload_hash(url, body)
        return url, self._signer.sign(method, url, region=self._region, headers=headers, payload=payload)


PROVIDER = Provider(type="s3", label="Amazon S3", fields=S3Fields, open=open_bucket, policy=policy, extra="s3")
