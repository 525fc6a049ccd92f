"""The evidence that the servers which the other tests trust check anything at all."""

import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from canaries import COMPATIBLE_SECRET
from consignee.demo.storage import Reply, StorageServer
from consignee.errors import ConsigneeError
from fakes.certificates import Authority
from fakes.policies import PolicyServer
from fakes.resolver import FixedResolver

TESTER = "test:tester"


def test_an_object_comes_back_as_it_was_put(swift: StorageServer) -> None:
    """With the right secret all works: without this the refusals below would mean nothing."""
    put = swift.checked(TESTER, "PUT", "/demo-bucket/a b/%2B+ü.txt", body=b"content")
    assert put.headers["etag"] == '"9a0364b9e99bb480dd25e1f0284c8555"'
    assert swift.checked(TESTER, "GET", "/demo-bucket/a b/%2B+ü.txt").body == b"content"


async def test_it_can_be_looked_into(swift: StorageServer) -> None:
    """All keys are listed, decoded and in order, and what was deleted is gone."""
    await swift.create_bucket(TESTER, "looked-into")
    for key in ("z", "a b/%2B+ü.txt", "m"):
        swift.checked(TESTER, "PUT", f"/looked-into/{key}", body=key.encode())
    assert await swift.keys(TESTER, "looked-into") == ["a b/%2B+ü.txt", "m", "z"]
    assert await swift.read(TESTER, "looked-into", "a b/%2B+ü.txt") == "a b/%2B+ü.txt".encode()
    swift.checked(TESTER, "DELETE", "/looked-into/m")
    assert await swift.keys(TESTER, "looked-into") == ["a b/%2B+ü.txt", "z"]


async def test_looking_into_a_bucket_that_is_not_there_is_an_error(swift: StorageServer) -> None:
    with pytest.raises(ConsigneeError, match="NoSuchBucket"):
        await swift.keys(TESTER, "no-such-bucket")


def test_a_wrong_secret_is_refused(swift: StorageServer) -> None:
    reply = replace(swift, users={TESTER: "wrong"}).request(TESTER, "PUT", "/demo-bucket/x")
    assert refusal(reply) == (403, "SignatureDoesNotMatch")


def test_an_unknown_user_is_refused(swift: StorageServer) -> None:
    reply = replace(swift, users={"test:nobody": COMPATIBLE_SECRET}).request("test:nobody", "PUT", "/demo-bucket/x")
    assert refusal(reply) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("path", "status"), [("/demo-bucket/unsigned", 400), ("/v1/AUTH_test/demo-bucket/unsigned", 401)]
)
def test_an_unsigned_request_is_refused(swift: StorageServer, path: str, status: int) -> None:
    """Neither by the S3 interface nor by Swift's own is there a way in without a secret."""
    assert send(swift, {}, path=path).status == status
    assert swift.request(TESTER, "HEAD", "/demo-bucket/unsigned").status == 404


def test_another_region_is_refused_and_the_right_one_is_named(swift: StorageServer) -> None:
    reply = replace(swift, region="eu-west-1").request(TESTER, "PUT", "/demo-bucket/x")
    assert refusal(reply) == (400, "AuthorizationHeaderMalformed")
    assert b"<Region>us-east-1</Region>" in reply.body


def test_a_server_elsewhere_wants_its_own_region(swift_eu: StorageServer) -> None:
    assert swift_eu.request(TESTER, "PUT", "/demo-bucket/x").status == 200
    reply = replace(swift_eu, region="us-east-1").request(TESTER, "PUT", "/demo-bucket/x")
    assert b"<Region>eu-west-1</Region>" in reply.body


def test_a_payload_that_was_not_signed_is_refused(swift: StorageServer) -> None:
    reply = send(swift, signed(swift, body=b"signed"), body=b"forged")
    assert refusal(reply) == (400, "XAmzContentSHA256Mismatch")


def test_a_payload_with_another_md5_is_refused(swift: StorageServer) -> None:
    headers = signed(swift, body=b"sent", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert refusal(send(swift, headers, body=b"sent")) == (400, "BadDigest")


def test_a_clock_two_hours_late_is_refused(swift: StorageServer) -> None:
    reply = send(swift, signed(swift, late=timedelta(hours=2)))
    assert refusal(reply) == (403, "RequestTimeTooSkewed")


def test_a_clock_five_minutes_late_is_accepted(swift: StorageServer) -> None:
    assert send(swift, signed(swift, late=timedelta(minutes=5))).status == 200


def test_a_bucket_that_is_not_there_and_anothers_look_the_same(swift: StorageServer) -> None:
    assert refusal(swift.request(TESTER, "PUT", "/no-such-bucket/x")) == (404, "NoSuchBucket")
    assert refusal(swift.request("other:owner", "PUT", "/demo-bucket/x")) == (404, "NoSuchBucket")


def test_one_user_may_put_but_not_delete(swift: StorageServer) -> None:
    """The object stays, and its owner can delete it; to delete what is not there is no error."""
    assert swift.request("test:nodelete", "PUT", "/demo-bucket/stays").status == 200
    reply = swift.request("test:nodelete", "DELETE", "/demo-bucket/stays")
    assert refusal(reply) == (403, "AccessDenied")
    assert swift.request(TESTER, "HEAD", "/demo-bucket/stays").status == 200
    assert [swift.request(TESTER, "DELETE", "/demo-bucket/stays").status for _ in range(2)] == [204, 204]


def test_who_may_not_delete_can_still_upload_in_parts(swift: StorageServer) -> None:
    path = "/demo-bucket/in-parts"
    started = swift.checked("test:nodelete", "POST", path, query={"uploads": ""}).body.decode()
    upload = started.partition("<UploadId>")[2].partition("<")[0]
    query = {"partNumber": "1", "uploadId": upload}
    etag = swift.checked("test:nodelete", "PUT", path, query=query, body=b"all of it").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    whole = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    swift.checked("test:nodelete", "POST", path, query={"uploadId": upload}, body=whole)
    assert swift.checked(TESTER, "GET", path).body == b"all of it"


async def test_tls_is_for_those_who_trust_the_authority(swift: StorageServer, ca: Authority) -> None:
    """A client that turns away in the handshake does not end the server."""
    url = f"{swift.tls_url}/demo-bucket/over-tls"
    async with aiohttp.ClientSession(headers=signed(swift, url=url)) as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.put(url, ssl=ssl.create_default_context())
        async with session.put(url, ssl=ca.client_context()) as response:
            assert response.status == 200


@pytest.mark.parametrize("bucket", ["demo-bucket", "dotted.bucket"])
async def test_a_bucket_has_its_virtual_host(swift: StorageServer, bucket: str) -> None:
    url = f"http://{bucket}.s3.localhost:{urlsplit(swift.url).port}/virtual"
    async with virtual_hosts(signed(swift, url=url)) as session, session.put(url) as response:
        assert response.status == 200
    assert "virtual" in await swift.keys(TESTER, bucket)


async def test_the_virtual_host_of_a_bucket_has_its_certificate(swift: StorageServer, ca: Authority) -> None:
    assert swift.tls_url is not None
    url = f"https://demo-bucket.s3.localhost:{urlsplit(swift.tls_url).port}/over-tls"
    tls = ca.client_context()
    async with virtual_hosts(signed(swift, url=url)) as session, session.put(url, ssl=tls) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("user", "put", "delete"),
    [
        ("writer", (200, ""), (204, "")),
        ("nodelete", (200, ""), (403, "AccessDenied")),
        ("nobody", (403, "AccessDenied"), (403, "AccessDenied")),
    ],
)
def test_policies_rule(moto_iam: PolicyServer, user: str, put: tuple[int, str], delete: tuple[int, str]) -> None:
    key_id = moto_iam.users[user][0]
    path = f"/{moto_iam.bucket}/of-{user}"
    assert refusal(moto_iam.server.request(key_id, "PUT", path, body=b"x")) == put
    assert refusal(moto_iam.server.request(key_id, "DELETE", path)) == delete


async def test_the_server_with_policies_can_be_looked_into(moto_iam: PolicyServer) -> None:
    key_id = moto_iam.users["writer"][0]
    moto_iam.server.checked(key_id, "PUT", f"/{moto_iam.bucket}/a b+ü", body=b"x")
    assert "a b+ü" in await moto_iam.server.keys(key_id, moto_iam.bucket)


def test_an_unknown_key_id_is_refused(moto_iam: PolicyServer) -> None:
    server = replace(moto_iam.server, users={"AKIAUNKNOWNUNKNOWNUN": "secret"})
    reply = server.request("AKIAUNKNOWNUNKNOWNUN", "PUT", f"/{moto_iam.bucket}/x")
    assert refusal(reply) == (403, "InvalidAccessKeyId")


def test_a_wrong_secret_of_a_known_key_id_is_refused(moto_iam: PolicyServer) -> None:
    key_id = moto_iam.users["writer"][0]
    reply = replace(moto_iam.server, users={key_id: "no"}).request(key_id, "PUT", f"/{moto_iam.bucket}/x")
    assert refusal(reply) == (403, "SignatureDoesNotMatch")


def virtual_hosts(headers: dict[str, str]) -> aiohttp.ClientSession:
    """Return a session that sends these headers and knows where the hosts of all buckets are."""
    resolver = FixedResolver({"*.s3.localhost": ["127.0.0.1"]})
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver), headers=headers)


def refusal(reply: Reply) -> tuple[int, str]:
    """Return the status and the error code, empty if there is none."""
    return reply.status, reply.body.decode().partition("<Code>")[2].partition("<")[0]


class Late(S3SigV4Auth):  # type: ignore[misc]
    """Signs as if the clock were late."""

    def __init__(self, *args: Any, late: timedelta) -> None:
        super().__init__(*args)
        self._late = late

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        request.context["timestamp"] = (datetime.now(UTC) - self._late).strftime("%Y%m%dT%H%M%SZ")
        super()._modify_request_before_signing(request)


def signed(
    server: StorageServer,
    *,
    url: str | None = None,
    body: bytes = b"",
    late: timedelta = timedelta(),
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers of a PUT of test:tester, signed for `body`."""
    request = AWSRequest("PUT", url or f"{server.url}/demo-bucket/signed", data=body, headers=dict(headers or {}))
    Late(Credentials(TESTER, server.users[TESTER]), "s3", server.region, late=late).add_auth(request)
    return dict(request.headers.items())


def send(
    server: StorageServer,
    headers: dict[str, str],
    *,
    path: str = "/demo-bucket/signed",
    body: bytes = b"",
) -> Reply:
    """PUT `body` with these headers."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request("PUT", path, body, headers)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()
