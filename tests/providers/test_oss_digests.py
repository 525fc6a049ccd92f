"""What OSS tells of what it got: digests of a file or a part, a checksum of the whole, and answers that are not like its own."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.body import BytesBody
from consignee.errors import NotAStorageService, ProviderError
from consignee.providers import Bucket, oss
from consignee.providers.base import Checkpoint
from consignee.providers.oss_parts import CRC_HEADER, Part, is_made_of
from consignee.transport import Answer
from fakes.oss_bodies import crc64
from fakes.scripted import Answer as Told
from fakes.scripted import Request, Server, scripted
from providers.opening import loopback, opened
from providers.test_oss_contract import FIELDS
from providers.test_oss_parts import BODY, PARTS, SIZE, asked


def storage(**changed: Any) -> Callable[[Request], Told]:
    """Return what answers as OSS, but for the headers of a `put`, a `part` or an `end`, or the body of a `begin`."""
    parts: dict[str, bytes] = {}

    def respond(request: Request) -> Told:
        query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
        if "uploads" in query:
            body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            return Told(body=changed.get("begin", body))
        if request.method == "DELETE":
            return Told(204)
        if request.method == "POST":
            return Told(headers=_checked(b"".join(parts.values()), changed.get("end", {})))
        kind = "part" if "uploadId" in query else "put"
        parts[query.get("partNumber", [""])[0]] = request.body
        return Told(headers=_checked(request.body, changed.get(kind, {})))

    return respond


def _checked(content: bytes, changed: Any) -> dict[str, str]:
    md5 = hashlib.md5(content)
    digests = {"ETag": f'"{md5.hexdigest().upper()}"', "Content-MD5": base64.b64encode(md5.digest()).decode()}
    headers = digests | {CRC_HEADER: str(crc64(content))} | changed
    return {name: value for name, value in headers.items() if value}


@asynccontextmanager
async def at(responder: Callable[[Request], Told]) -> AsyncIterator[tuple[Server, Bucket]]:
    """Yield a server that answers so, and a bucket there."""
    async with (
        scripted(responder) as server,
        opened(oss.PROVIDER, FIELDS, loopback(oss=server.url), parts=PARTS) as bucket,
    ):
        yield server, bucket


OTHER_ETAG: Final = {"ETag": f'"{"0" * 32}"'}
OTHER_MD5: Final = {"Content-MD5": base64.b64encode(bytes(16)).decode()}


@pytest.mark.parametrize(
    "changed", [{"put": OTHER_ETAG}, {"put": OTHER_MD5}, {"part": OTHER_ETAG}, {"part": OTHER_MD5}]
)
async def test_another_digest_than_what_was_sent_has_is_an_error(changed: Mapping[str, Any]) -> None:
    body = BytesBody(b"small") if "put" in changed else BODY
    async with at(storage(**changed)) as (_, bucket):
        with pytest.raises(ProviderError, match="another content"):
            await bucket.put("key", body)


@pytest.mark.parametrize("length", [5, 3 * SIZE])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-MD5": "", CRC_HEADER: ""},
        {"ETag": '"5B3C1A2E053D763E1B002CC607C5A0FE1"', CRC_HEADER: "unknown"},
        OTHER_ETAG | {"x-oss-server-side-encryption": "KMS"},
    ],
)
async def test_a_digest_is_compared_where_it_is_defined(length: int, headers: Mapping[str, str]) -> None:
    """Not the ETag of what the customer's own key encrypts, nor one that is no MD5."""
    async with at(storage(put=headers, part=headers)) as (server, bucket):
        await bucket.put("key", BytesBody(bytes(length)))
    assert asked(server.requests[-1]) in ("PUT", "POST uploadId")


async def test_an_object_of_other_parts_is_an_error() -> None:
    """By the checksum of the whole; the upload is gone then, which does not make it a completed one."""
    async with at(storage(end={CRC_HEADER: str(crc64(b"else"))})) as (server, bucket):
        checkpoint = Checkpoint()
        with pytest.raises(ProviderError, match="another object") as failed:
            await bucket.put("key", BODY, checkpoint)
    assert failed.value.transient
    assert checkpoint.state == {}
    assert [asked(request) for request in server.requests].count("POST uploadId") == 1


@pytest.mark.parametrize(
    ("changed", "accepted"),
    [({"begin": b"<html>Welcome</html>"}, False), ({"part": {"ETag": ""}}, True), ({"end": {"ETag": ""}}, True)],
)
async def test_a_success_that_is_not_like_the_vendors_is_none(changed: Mapping[str, Any], accepted: bool) -> None:
    async with at(storage(**changed)) as (_, bucket):
        with pytest.raises(NotAStorageService) as failed:
            await bucket.put("key", BODY)
    assert failed.value.accepted == accepted


@given(pieces=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_the_checksum_of_the_whole_follows_from_those_of_its_parts(pieces: list[bytes]) -> None:
    """As the library of the vendor's SDK has it."""
    parts = [Part.parse(str(Part("A", crc64(piece), len(piece)))) for piece in pieces]
    whole = b"".join(pieces)
    assert is_made_of(Answer(200, {CRC_HEADER: str(crc64(whole))}, b""), parts)
    assert not is_made_of(Answer(200, {CRC_HEADER: str(crc64(whole) ^ 1)}, b""), parts)
    assert is_made_of(Answer(200, {}, b""), parts)
    assert is_made_of(Answer(200, {CRC_HEADER: "1"}, b""), [*parts, Part("A", None, 1)])
