"""Any store that speaks the S3 protocol at an endpoint of its own: Cloudflare R2, DigitalOcean Spaces, MinIO, Ceph and many more.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, path style unless the customer asks for another.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from marshmallow import ValidationError
from marshmallow.validate import OneOf

from consignee.addresses import is_address
from consignee.destination import Draft
from consignee.providers import sigv4
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import Endpoint, matching, text
from consignee.providers.s3 import FIRST_REGION, LIKE_AN_ADDRESS, S3Fields, in_place, policy, virtual
from consignee.providers.s3_bucket import Locate, S3Bucket
from consignee.transport import Transport

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_STYLES: Final = {
    "path": "Path: https://endpoint/bucket/key",
    "virtual": "Virtual host: https://bucket.endpoint/key",
    "auto": "Automatic: virtual host where the names allow it",
}
REGION_IN_HOST: Final = (
    re.compile(r"(?:.+\.)?r2\.cloudflarestorage\.com"),
    re.compile(r"(?:s3[.-])?([a-z]{2,}-[a-z]+-?\d+)\.[a-z0-9.-]+"),
    re.compile(r"s3[.-]([a-z0-9-]+)\.(?:wasabisys|backblazeb2|scw|idrivee2)\.[a-z.]+"),
    re.compile(r"([a-z]{3}\d)\.digitaloceanspaces\.com"),
)
"""How the hosts of well-known stores name their region; Cloudflare R2, which has none, signs for `auto`."""


def _bucket_name(value: str) -> None:
    if not _BUCKET.fullmatch(value) or ".." in value or LIKE_AN_ADDRESS.fullmatch(value):
        raise ValidationError(
            "must be the name of a bucket: 3 to 63 letters, digits, dots, hyphens and underscores, not an ARN or a URL"
        )


class S3CompatibleFields(S3Fields):
    """The fields of Amazon S3, and where the store is."""

    s3_bucket_name = text("Bucket name", required=True, check=_bucket_name)
    s3_endpoint = text(
        "Endpoint",
        required=True,
        help="The URL of the store, such as https://ams3.digitaloceanspaces.com.",
        field=Endpoint,
    )
    s3_region = text(
        "Region",
        help="Such as eu-west-1 or auto. Left empty, it is taken from the endpoint or from what the store says.",
        check=matching(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", "a region, such as eu-west-1"),
    )
    s3_addressing_style = text(
        "Addressing style",
        help="How the bucket is named in requests; path if left empty.",
        choices=_STYLES,
        check=OneOf(_STYLES, error="must be one of " + ", ".join(_STYLES)),
    )


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket at its endpoint."""
    secret = draft.secrets["s3_secret_access_key"]
    signer = await sigv4.Signer.load(draft.secrets["s3_access_key_id"].reveal(), secret, extra="s3")
    chosen = draft.settings.get("s3_region")
    endpoint = transport.endpoint_url or draft.settings["s3_endpoint"]
    # Nobody says what an ETag is at a store of this kind, so it is compared with nothing: Content-MD5 guards what is sent.
    yield S3Bucket(
        signer,
        transport,
        _locate(endpoint, draft),
        region=chosen or found.get("region") or region_in(endpoint),
        fixed_region=bool(chosen),
    )


def _locate(endpoint: str, draft: Draft) -> Locate:
    bucket = draft.settings["s3_bucket_name"]
    style = draft.settings.get("s3_addressing_style", "path")
    if style == "virtual" or (style == "auto" and _fits_a_host(endpoint, bucket)):
        return lambda region: virtual(endpoint, bucket)
    return lambda region: in_place(endpoint, bucket)


def _fits_a_host(endpoint: str, bucket: str) -> bool:
    """Whether the bucket's name can stand before the host's: neither an address nor, over https, more than one label."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", bucket):
        return False
    return not is_address(urlsplit(endpoint).hostname or "")


def region_in(endpoint: str) -> str:
    """Return the region that an endpoint's host names, `auto` for a store without regions, or the usual default."""
    host = urlsplit(endpoint).hostname or ""
    for pattern in REGION_IN_HOST:
        if match := pattern.fullmatch(host):
            return match[1] if match.re.groups else "auto"
    return FIRST_REGION


PROVIDER = Provider(
    type="s3compatible",
    label="S3-compatible storage",
    fields=S3CompatibleFields,
    open=open_bucket,
    policy=policy,
    extra="s3",
    modules=("aiobotocore",),
    aliases=("s3_compatible",),
)
