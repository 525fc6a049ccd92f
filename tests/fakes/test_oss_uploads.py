"""That the fake OSS takes uploads in parts as the vendor's own SDK makes them, and refuses what breaks a rule."""

import asyncio
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import oss2
import pytest
from oss2.models import PartInfo

from canaries import OSS_SECRET
from fakes import oss_answers as answers
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from fakes.oss_answers import Error
from fakes.oss_client import BUCKETS, USERS, WRITER, Seen, assert_refused, send, url_of
from fakes.oss_uploads import SMALLEST_PART

KEY = "dir/ü +%"
PARTS = [random.Random(number).randbytes(SMALLEST_PART + number) for number in range(2)] + [b"the rest"]


@contextmanager
def sdk(oss: Oss) -> Iterator[oss2.Bucket]:
    """The vendor's own client, which goes through no proxy of the environment."""
    session = oss2.Session()
    session.session.trust_env = False
    auth = oss2.AuthV4(WRITER, OSS_SECRET)
    yield oss2.Bucket(auth, oss.url, "a-bucket", region="cn-hangzhou", is_path_style=True, session=session)
    session.session.close()


def document(*parts: tuple[int, str]) -> bytes:
    """Return the body of a completion."""
    named = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
    return f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()


class Client:
    """An upload that was begun, and requests about it."""

    def __init__(self, session: aiohttp.ClientSession, oss: Oss, upload: str) -> None:
        self.session, self.oss, self.upload = session, oss, upload

    async def add(
        self, number: int | str, content: bytes = b"x", *, key: str = "dir/file.txt", bucket: str = "a-bucket"
    ) -> Seen:
        """Send a part."""
        params = {"partNumber": str(number), "uploadId": self.upload}
        url = url_of(self.oss, "PUT", key, bucket=bucket, params=params)
        return await send(self.session, "PUT", url, content)

    async def complete(self, body: bytes, key: str = "dir/file.txt") -> Seen:
        """End the upload with this document."""
        return await send(self.session, "POST", url_of(self.oss, "POST", key, params={"uploadId": self.upload}), body)

    async def abort(self, key_id: str = WRITER) -> Seen:
        """Give the upload up."""
        url = url_of(self.oss, "DELETE", key_id=key_id, params={"uploadId": self.upload})
        return await send(self.session, "DELETE", url)


@pytest.fixture
async def begun(client: aiohttp.ClientSession, oss: Oss) -> Client:
    """An upload to dir/file.txt."""
    seen = await send(client, "POST", url_of(oss, "POST", params={"uploads": ""}))
    assert (seen.status, seen.element("Bucket"), seen.element("Key")) == (200, "a-bucket", "dir/file.txt")
    return Client(client, oss, seen.element("UploadId"))


async def test_the_sdk_itself_uploads_in_parts(oss: Oss) -> None:
    """It compares the checksums that are told, of each part and of the whole."""

    def upload(bucket: oss2.Bucket) -> None:
        upload_id = bucket.init_multipart_upload(KEY).upload_id
        infos = []
        for number, content in enumerate(PARTS, start=1):
            sent = bucket.upload_part(KEY, upload_id, number, content)
            infos.append(PartInfo(number, sent.etag, size=len(content), part_crc=sent.crc))
            assert (sent.etag, sent.crc is None) == (hashlib.md5(content).hexdigest().upper(), False)
        assert oss.unfinished == [KEY]
        completed = bucket.complete_multipart_upload(KEY, upload_id, infos)
        assert completed.etag.endswith("-3")

    with sdk(oss) as bucket:
        await asyncio.to_thread(upload, bucket)
    assert oss.objects == {"a-bucket": {KEY: b"".join(PARTS)}}
    assert oss.unfinished == []


async def test_the_sdk_itself_aborts(oss: Oss) -> None:
    def give_up(bucket: oss2.Bucket) -> None:
        upload_id = bucket.init_multipart_upload(KEY).upload_id
        bucket.upload_part(KEY, upload_id, 1, b"x")
        bucket.abort_multipart_upload(KEY, upload_id)
        with pytest.raises(oss2.exceptions.NoSuchUpload):
            bucket.abort_multipart_upload(KEY, upload_id)

    with sdk(oss) as bucket:
        await asyncio.to_thread(give_up, bucket)
    assert oss.unfinished == []
    assert oss.objects == {}


async def test_a_part_that_is_sent_again_counts_once(begun: Client) -> None:
    """The last one of a number is meant; and those that the completion does not name are left out."""
    for number, content in ((1, b"first"), (2, b"unnamed"), (1, b"second")):
        etag = (await begun.add(number, content)).headers["ETag"]
    assert (await begun.complete(document((1, etag)))).status == 200
    assert begun.oss.objects == {"a-bucket": {"dir/file.txt": b"second"}}
    assert begun.oss.unfinished == []


@pytest.mark.parametrize("number", ["0", "10001", "-1", "1.5", "01", "x"])
async def test_a_part_has_a_number_up_to_ten_thousand(begun: Client, number: str) -> None:
    assert_refused(await begun.add(number), answers.INVALID_PART_NUMBER)
    assert (await begun.add(10_000)).status == 200


async def test_a_part_belongs_to_one_upload_of_one_object(begun: Client) -> None:
    begun.oss.buckets["b-bucket"] = "cn-hangzhou"
    assert_refused(await begun.add(1, key="other"), answers.NO_SUCH_UPLOAD)
    assert_refused(await begun.add(1, bucket="b-bucket"), answers.NO_SUCH_UPLOAD)
    begun.upload = "0" * 32
    assert_refused(await begun.add(1), answers.NO_SUCH_UPLOAD)
    assert_refused(await begun.complete(document((1, "x"))), answers.NO_SUCH_UPLOAD)
    assert_refused(await begun.abort(), answers.NO_SUCH_UPLOAD)
    assert begun.oss.unfinished == ["dir/file.txt"]


SMALL, LARGE = b"x", b"y" * SMALLEST_PART
ETAGS = {number: hashlib.md5(content).hexdigest().upper() for number, content in ((1, SMALL), (2, LARGE), (3, SMALL))}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (document((3, ETAGS[3]), (2, ETAGS[2])), answers.INVALID_PART_ORDER),
        (document((2, ETAGS[2]), (2, ETAGS[2])), answers.INVALID_PART_ORDER),
        (document((2, ETAGS[2]), (3, ETAGS[2])), answers.INVALID_PART),
        (document((2, ETAGS[2]), (4, ETAGS[2])), answers.INVALID_PART),
        (document((1, ETAGS[1]), (2, ETAGS[2])), answers.ENTITY_TOO_SMALL),
        (document(), answers.MALFORMED_XML),
        (document((2, ETAGS[2])).replace(b"Part>", b"Teil>"), answers.MALFORMED_XML),
        (document((2, ETAGS[2])).replace(b">2<", b">two<"), answers.MALFORMED_XML),
        (document((2, ETAGS[2]))[:-5], answers.MALFORMED_XML),
        (b"", answers.MALFORMED_XML),
    ],
)
async def test_a_completion_names_the_parts_in_order(begun: Client, body: bytes, error: Error) -> None:
    """And all but the last have 100 KB; the upload stays, so that it can be completed right."""
    for number, content in ((1, SMALL), (2, LARGE), (3, SMALL)):
        await begun.add(number, content)
    assert_refused(await begun.complete(body), error)
    assert begun.oss.objects == {}
    assert (await begun.complete(document((2, ETAGS[2]), (3, ETAGS[3])))).status == 200
    assert begun.oss.objects == {"a-bucket": {"dir/file.txt": LARGE + SMALL}}


async def test_to_abort_is_a_right_of_its_own(begun: Client) -> None:
    """Which who may not delete objects can have all the same."""
    begun.oss.users["LTAI-reader"] = User("reader-secret", may_abort=False)
    assert_refused(await begun.abort("LTAI-reader"), answers.ACCESS_DENIED)
    assert begun.oss.unfinished == ["dir/file.txt"]
    assert (await begun.abort("LTAI-nodelete")).status == 204
    assert begun.oss.unfinished == []


@pytest.mark.parametrize(
    ("old", "new"), [("partNumber=1", "partNumber=2"), ("&uploadId=", "&uploadId=0"), ("partNumber=1&", "")]
)
async def test_the_signature_covers_what_is_asked_for(begun: Client, old: str, new: str) -> None:
    url = url_of(begun.oss, params={"partNumber": "1", "uploadId": begun.upload})
    assert old in url
    assert_refused(await send(begun.session, "PUT", url.replace(old, new), b"x"), answers.SIGNATURE_DOES_NOT_MATCH)


@pytest.mark.parametrize(
    ("method", "params"),
    [("PUT", {"uploads": ""}), ("POST", {}), ("PUT", {"uploadId": "1"}), ("DELETE", {"uploads": ""})],
)
async def test_what_the_vendor_does_not_have_is_refused(
    client: aiohttp.ClientSession, oss: Oss, method: str, params: dict[str, str]
) -> None:
    assert_refused(await send(client, method, url_of(oss, method, params=params)), answers.NOT_IMPLEMENTED)


async def test_a_fault_may_be_for_some_requests_only(begun: Client) -> None:
    begun.oss.switches.error = answers.INTERNAL_ERROR
    begun.oss.switches.only = lambda request: "partNumber=2" in request.path
    assert [(await begun.add(number)).status for number in (1, 2, 3)] == [200, 500, 200]


async def test_contents_need_not_be_kept(client: aiohttp.ClientSession) -> None:
    """Lengths and digests are, and all is checked that can be without them."""
    async with oss_server(USERS, BUCKETS, path_style=True, keeps_contents=False) as oss:
        assert (await send(client, "PUT", url_of(oss, key="small"), b"small")).status == 200
        begin = await send(client, "POST", url_of(oss, "POST", params={"uploads": ""}))
        upload = Client(client, oss, begin.element("UploadId"))
        sent = [await upload.add(number, content) for number, content in enumerate(PARTS, start=1)]
        named = [(number, seen.headers["ETag"]) for number, seen in enumerate(sent, start=1)]
        assert_refused(await upload.complete(document((1, named[1][1]))), answers.INVALID_PART)
        assert (await upload.complete(document(*named))).status == 200
    assert oss.objects == {"a-bucket": {}}
    assert {request.body for request in oss.requests if request.method == "PUT"} == {b""}
    stored = {key: [(one.length, one.md5) for one in pieces] for key, pieces in oss.stored["a-bucket"].items()}
    assert stored["small"] == [(5, hashlib.md5(b"small").digest())]
    assert stored["dir/file.txt"] == [(len(part), hashlib.md5(part).digest()) for part in PARTS]
