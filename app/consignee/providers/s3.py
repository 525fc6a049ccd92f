"""Amazon S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

The bucket's region is not asked for: a refusal names it, the request is repeated there once, and the region is remembered.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import CredentialsRejected, NotAStorageService, ProviderFailure
from consignee.providers import s3_errors, sigv4
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import DestinationFields, matching, prefix, text
from consignee.transport import Answer, Transport

FIRST_REGION: Final = "us-east-1"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def _bucket_name(value: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    if not (3 <= len(value) <= 63 and _BUCKET.fullmatch(value)) or _ADDRESS.fullmatch(value):
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
        check=matching(r"[!-+\--.0-~]+", "an access key ID: without spaces, commas or slashes"),
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
    yield S3Bucket(signer, transport, locate, region=found.get("region", FIRST_REGION), odd_secret=has_space(draft))


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


def has_space(draft: Draft) -> bool:
    """Whether the secret holds white space, which no vendor's secret does."""
    return any(character.isspace() for character in draft.secrets["s3_secret_access_key"].reveal())


class S3Bucket(Bucket):
    """A bucket that speaks the S3 protocol. With `fixed_region` the customer chose the region, and no other is tried."""

    def __init__(
        self,
        signer: sigv4.Signer,
        transport: Transport,
        locate: Locate,
        *,
        region: str,
        fixed_region: bool = False,
        odd_secret: bool = False,
    ) -> None:
        self._signer = signer
        self._transport = transport
        self._locate = locate
        self._region = region
        self._fixed_region = fixed_region
        self._odd_secret = odd_secret
        self.found: dict[str, str] = {}

    async def put(self, key: str, body: Body) -> None:
        """Write the object with one PUT."""
        answer = await self._send("PUT", key, body)
        if not 200 <= answer.status < 300:
            raise self._failure(answer)
        if not answer.headers.get("ETag", "").strip('" '):
            raise NotAStorageService("The endpoint accepted the file, but not like a storage service: without an ETag.")

    async def delete(self, key: str) -> None:
        """Remove the object with one DELETE."""
        answer = await self._send("DELETE", key)
        gone = answer.status == 404 and s3_errors.provider_code(answer) == "NoSuchKey"
        if not (200 <= answer.status < 300 or gone):
            raise self._failure(answer)

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        answer = await self._send_once(method, key, body)
        region = s3_errors.named_region(answer) if answer.status >= 300 else None
        if region is None or region == self._region or self._fixed_region:
            return answer
        self._region = self.found["region"] = region
        return await self._send_once(method, key, body)

    async def _send_once(self, method: str, key: str, body: Body | None) -> Answer:
        url = f"{self._locate(self._region)}/{quote(key, safe='/-_.~')}"
        headers = self._signer.sign(
            method,
            url,
            region=self._region,
            headers=sigv4.upload_headers(body) if body else {},
            payload=sigv4.payload_hash(url, body),
        )
        answer = await self._transport.send(method, url, headers=headers, body=body)
        return answer if answer.status < 300 else s3_errors.without(answer, self._signer.key_id)

    def _failure(self, answer: Answer) -> ProviderFailure:
        failure = s3_errors.failure(answer, now=datetime.now(UTC))
        if isinstance(failure, CredentialsRejected) and self._odd_secret:
            failure.hint = (
                "The secret contains a space. It was probably a + that a form body did not escape: send it as %2B, "
                "or send the fields as JSON."
            )
        return failure


PROVIDER = Provider(type="s3", label="Amazon S3", fields=S3Fields, open=open_bucket, extra="s3")
