"""The S3 server of the chaos tests takes uploads in parts, from botocore's own client, and outlives its process."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from fakes.chaos_process import ChaosServer, chaos_process
from fakes.chaos_state import Stored

PARTS = (b"a" * 100_000, b"b" * 70_000, b"c")
WHOLE = b"".join(PARTS)
SHA256 = hashlib.sha256(WHOLE).hexdigest()
PLACE = {"Bucket": "bucket", "Key": "a/large file.bin"}
NAME = "bucket/a/large file.bin"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChaosServer]:
    """A server that takes small parts, and keeps what it gets."""
    with chaos_process("bucket", min_part=50_000, keep=True, directory=tmp_path) as server:
        yield server


@pytest.fixture
def s3(server: ChaosServer) -> Iterator[Any]:
    """Botocore's client, which repeats nothing."""
    client = get_session().create_client(
        "s3",
        region_name=server.region,
        endpoint_url=server.url,
        aws_access_key_id=server.key_id,
        aws_secret_access_key=server.secret,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
    )
    yield client
    client.close()


def send(s3: Any, upload: str, number: int, body: bytes) -> dict[str, Any]:
    """Send a part; return what the completion names it by."""
    answer = s3.upload_part(**PLACE, UploadId=upload, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def complete(s3: Any, upload: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Complete the upload of these parts."""
    answer: dict[str, Any] = s3.complete_multipart_upload(**PLACE, UploadId=upload, MultipartUpload={"Parts": parts})
    return answer


def refused(code: str) -> Any:
    """Expect a refusal with this code."""
    return pytest.raises(ClientError, match=rf"\({code}\)")


def test_parts_in_any_order_become_one_object(server: ChaosServer, s3: Any) -> None:
    """A part that is sent again takes the place of the one before."""
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    send(s3, upload, 2, b"x" * 60_000)
    parts = [send(s3, upload, number, PARTS[number - 1]) for number in (3, 2, 1)][::-1]
    state = server.state()
    assert state.uploads == [{"id": upload, "name": NAME, "parts": [1, 2, 3]}] and not state.objects
    etag = complete(s3, upload, parts)["ETag"]
    md5s = b"".join(hashlib.md5(part).digest() for part in PARTS)
    assert etag == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    state = server.state()
    assert state.objects == {NAME: Stored(SHA256, len(WHOLE), 1)} and not state.uploads
    assert server.content(NAME) == WHOLE
    assert {name: state.requests[name] for name in ("begin", "part", "complete")} == {
        "begin": 1,
        "part": 4,
        "complete": 1,
    }
    with refused("NoSuchUpload"):
        complete(s3, upload, parts)


def test_an_aborted_upload_leaves_nothing(server: ChaosServer, s3: Any, tmp_path: Path) -> None:
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    part = send(s3, upload, 1, PARTS[0])
    s3.abort_multipart_upload(**PLACE, UploadId=upload)
    assert not server.state().uploads
    assert not list(tmp_path.rglob("1-*"))
    for again in (
        lambda: send(s3, upload, 2, PARTS[1]),
        lambda: complete(s3, upload, [part]),
        lambda: s3.abort_multipart_upload(**PLACE, UploadId=upload),
    ):
        with refused("NoSuchUpload"):
            again()


def test_refuses_a_completion_that_is_wrong(server: ChaosServer, s3: Any) -> None:
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    first, second, third = (send(s3, upload, number, body) for number, body in enumerate([*PARTS[:2], b"d"], 1))
    with refused("InvalidPartOrder"):
        complete(s3, upload, [second, first])
    with refused("InvalidPart"):
        complete(s3, upload, [first, {**second, "ETag": first["ETag"]}])
    with refused("InvalidPart"):
        complete(s3, upload, [first, {**second, "PartNumber": 4}])
    fourth = send(s3, upload, 4, b"e")
    with refused("EntityTooSmall"):
        complete(s3, upload, [first, second, third, fourth])
    with refused("NoSuchUpload"):
        s3.upload_part(Bucket="bucket", Key="another", UploadId=upload, PartNumber=1, Body=b"")
    assert [one["parts"] for one in server.state().uploads] == [[1, 2, 3, 4]]


def test_a_completion_whose_answer_is_lost_was_one(server: ChaosServer, s3: Any) -> None:
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    parts = [send(s3, upload, 1, WHOLE)]
    server.set_faults(error_after=1, on=["complete"])
    with refused("InternalError"):
        complete(s3, upload, parts)
    assert server.state().objects == {NAME: Stored(SHA256, len(WHOLE), 1)}
    with refused("NoSuchUpload"):
        complete(s3, upload, parts)


def test_a_killed_server_goes_on_where_it_was(server: ChaosServer, s3: Any) -> None:
    """Objects with their counts, deletions, and unfinished uploads with their parts; faults and counters are new."""
    for key in ("gone", "there", "there"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"hello")
    s3.delete_object(Bucket="bucket", Key="gone")
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    parts = [send(s3, upload, 1, PARTS[0])]
    before, url, pid = server.state(), server.url, server.pid
    server.kill()
    server.start()
    after = server.state()
    assert (server.url, after.objects, after.uploads) == (url, before.objects, before.uploads)
    assert server.pid != pid and not after.requests
    parts += [send(s3, upload, number, PARTS[number - 1]) for number in (2, 3)]
    complete(s3, upload, parts)
    there = Stored(hashlib.sha256(b"hello").hexdigest(), 5, 2)
    assert server.state().objects == {"bucket/there": there, NAME: Stored(SHA256, len(WHOLE), 1)}
