"""What a storage says of what arrived is compared with what was sent, wherever its vendor defines it, and nowhere else."""

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from consignee.body import BytesBody
from consignee.errors import ProviderError
from consignee.providers import Bucket
from consignee.transport import Parts
from fakes.multipart import XML, Multipart, completed
from fakes.scripted import Answer, scripted
from providers.kinds import KINDS
from providers.opening import opened

PARTS = Parts(threshold=10, size=10, at_once=1, tries=2, pause=0.001)
SMALL, LARGE = BytesBody(b"content"), BytesBody(bytes(range(25)))
WRONG = hashlib.md5(b"something else").hexdigest()
ENCRYPTION = "x-amz-server-side-encryption"
WRONG_HASH = {"x-goog-hash": "crc32c=AAAAAA==,md5=" + base64.b64encode(bytes(16)).decode()}
RIGHT_HASH = {"x-goog-hash": "crc32c=AAAAAA==,md5=" + base64.b64encode(SMALL.md5).decode()}


@asynccontextmanager
async def bucket_of(kind: str, multipart: Multipart) -> AsyncIterator[Bucket]:
    """Yield a bucket of that kind at such a server."""
    async with scripted(multipart) as server:
        chosen = KINDS[kind]
        fields, settings = chosen.fields_at(server.url), chosen.settings_at(server.url)
        async with opened(chosen.provider, fields, settings, parts=PARTS) as bucket:
            yield bucket


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("s3", {}),
        ("s3", {ENCRYPTION: "AES256"}),
        ("gcs by HMAC", WRONG_HASH),
    ],
)
async def test_another_digest_is_a_failure(kind: str, headers: Mapping[str, str]) -> None:
    """Of a part too: it is sent again, and then the upload is given up."""
    multipart = Multipart(headers=headers, etag=WRONG)
    async with bucket_of(kind, multipart) as bucket:
        with pytest.raises(ProviderError, match="another content"):
            await bucket.put("key", SMALL)
        with pytest.raises(ProviderError, match="another content"):
            await bucket.put("key", LARGE)
    assert multipart.steps == ["put", "begin", "part", "part", "abort"]


@pytest.mark.parametrize(
    ("kind", "etag", "headers"),
    [
        ("s3", WRONG, {ENCRYPTION: "aws:kms"}),
        ("s3", WRONG, {ENCRYPTION: "aws:kms:dsse"}),
        ("s3", WRONG, {f"{ENCRYPTION}-customer-algorithm": "AES256"}),
        ("s3", "no-md5", {}),
        ("s3compatible", WRONG, {}),
        ("s3compatible", "no-md5", {}),
        ("gcs by HMAC", WRONG, {}),
        ("gcs by HMAC", WRONG, {"x-goog-hash": "crc32c=AAAAAA=="}),
    ],
)
async def test_what_is_no_digest_is_compared_with_nothing(kind: str, etag: str, headers: Mapping[str, str]) -> None:
    """A key of the customer's encrypts it, or nobody has said what an ETag is: a false alarm would be for ever."""
    multipart = Multipart(headers=headers, etag=etag)
    async with bucket_of(kind, multipart) as bucket:
        await bucket.put("key", SMALL)
        await bucket.put("key", LARGE)
    assert multipart.steps == ["put", "begin", "part", "part", "part", "complete"]


async def test_googles_digest_of_the_right_content_is_accepted() -> None:
    multipart = Multipart(headers=RIGHT_HASH, etag=WRONG)
    async with bucket_of("gcs by HMAC", multipart) as bucket:
        await bucket.put("key", SMALL)
    assert multipart.steps == ["put"]


@pytest.mark.parametrize("parts", [1, 2, 4])
async def test_amazons_digest_of_the_whole_is_compared(parts: int) -> None:
    """It is the MD5 of the parts' MD5s, and their number: in another order, or fewer of them, they are not the object."""
    multipart = Multipart()
    multipart.instead["complete"] = [Answer(200, XML, completed(f"{WRONG}-{parts}"))]
    async with bucket_of("s3", multipart) as bucket:
        with pytest.raises(ProviderError, match="another object"):
            await bucket.put("key", LARGE)
    assert multipart.steps[:5] == ["begin", "part", "part", "part", "complete"]


@pytest.mark.parametrize(
    ("kind", "etag", "headers"),
    [
        ("s3", f"{WRONG}-3", {ENCRYPTION: "aws:kms"}),
        ("s3", "no-md5", {}),
        ("s3compatible", f"{WRONG}-3", {}),
        ("gcs by HMAC", f"{WRONG}-3", {}),
    ],
)
async def test_a_whole_without_a_digest_is_accepted(kind: str, etag: str, headers: Mapping[str, str]) -> None:
    multipart = Multipart()
    multipart.instead["complete"] = [Answer(200, {**XML, **headers}, completed(etag))]
    async with bucket_of(kind, multipart) as bucket:
        await bucket.put("key", LARGE)
    assert multipart.steps[4:] == ["complete"]


@pytest.mark.parametrize("kind", ["s3", "s3compatible", "gcs by HMAC"])
async def test_the_right_digests_are_accepted(kind: str) -> None:
    multipart = Multipart()
    async with bucket_of(kind, multipart) as bucket:
        await bucket.put("key", SMALL)
        await bucket.put("key", LARGE)
    assert multipart.steps[-1] == "complete"


@pytest.mark.parametrize("kind", ["s3", "s3compatible", "gcs by HMAC"])
async def test_the_storage_itself_can_compare_too(kind: str) -> None:
    """Each body goes with its MD5."""
    multipart = Multipart()
    async with scripted(multipart) as server:
        chosen = KINDS[kind]
        fields, settings = chosen.fields_at(server.url), chosen.settings_at(server.url)
        async with opened(chosen.provider, fields, settings, parts=PARTS) as bucket:
            await bucket.put("key", SMALL)
            await bucket.put("key", LARGE)
    bodies = [request for request in server.requests if request.method == "PUT"]
    assert len(bodies) == 4
    for request in bodies:
        assert base64.b64decode(request.headers["content-md5"]) == hashlib.md5(request.body).digest()
