"""The contract over the S3 protocol, against servers that check signatures: by each way in which a bucket is named."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

import pytest

from consignee.demo.storage import StorageServer
from consignee.providers import s3, s3compatible
from consignee.settings import Settings
from consignee.testing.buckets import BucketContract, Subject
from consignee.testing.readable import ReadableContract
from consignee.transport import Parts
from fakes.certificates import Authority
from fakes.policies import PolicyServer
from fakes.resolver import FixedResolver
from providers.opening import S3_FIELDS, Fields, loopback

TESTER = "test:tester"


def unfinished(server: StorageServer, user: str, bucket: str) -> Callable[[], Awaitable[list[str]]]:
    """Return what lists the uploads in parts that the server still waits for."""

    def listed() -> list[str]:
        found = ET.fromstring(server.checked(user, "GET", f"/{bucket}", query={"uploads": ""}).body)
        return [upload.findtext("{*}Key") or "" for upload in found.iterfind("{*}Upload")]

    return lambda: asyncio.to_thread(listed)


def s3_subject(server: StorageServer, settings: Settings, bucket: str = "demo-bucket") -> Subject:
    """A destination of type s3, at the operator's own endpoint."""
    return Subject(
        provider=s3.PROVIDER,
        fields=S3_FIELDS | {"s3_bucket_name": bucket},
        settings=settings,
        wrong_secret={"s3_secret_access_key": "wrong"},
        no_bucket={"s3_bucket_name": "no-such-bucket"},
        no_delete={"s3_access_key_id": "test:nodelete", "s3_secret_access_key": "testing2"},
        keys=partial(server.keys, TESTER, bucket),
        read=partial(server.read, TESTER, bucket),
        unfinished=unfinished(server, TESTER, bucket),
        resolver=FixedResolver({"s3.localhost": ["127.0.0.1"], "*.s3.localhost": ["127.0.0.1"]}),
    )


def compatible_subject(server: StorageServer, settings: Settings, endpoint: str, **more: str) -> Subject:
    """A destination of type s3compatible, at an endpoint that the customer names."""
    base = s3_subject(server, settings, more.pop("s3_bucket_name", "demo-bucket"))
    fields: Fields = {**base.fields, "type": "s3compatible", "s3_endpoint": endpoint, **more}
    return Subject(**{**vars(base), "provider": s3compatible.PROVIDER, "fields": fields})


def tls_port(server: StorageServer) -> int:
    """Return the port at which the server speaks TLS."""
    assert server.tls_url is not None
    return urlsplit(server.tls_url).port or 443


class TestS3AtTheOperatorsEndpoint(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer) -> Subject:
        """The bucket is the first folder."""
        return s3_subject(swift, loopback(s3=swift.url))


class TestS3AtAVirtualHostOverTls(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """The bucket is in the host's name, and the certificate of an authority that only the operator trusts."""
        endpoint = f"https://{{bucket}}.s3.localhost:{tls_port(swift)}"
        return s3_subject(swift, loopback(ca=ca.pem, s3=endpoint))


class TestS3WithADotInTheBucketsName(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """Path style keeps the dot out of the certificate's way."""
        return s3_subject(swift, loopback(ca=ca.pem, s3=f"https://s3.localhost:{tls_port(swift)}"), "dotted.bucket")


class TestCompatibleOverHttp(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer) -> Subject:
        """Plain http, where the operator allows it."""
        return compatible_subject(swift, loopback(), swift.url)


class TestCompatibleOverTls(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """Path style, which is the default; at an address."""
        return compatible_subject(swift, loopback(ca=ca.pem), f"https://127.0.0.1:{tls_port(swift)}")


class TestCompatibleVirtualHost(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """The customer asks for the virtual host."""
        endpoint = f"https://s3.localhost:{tls_port(swift)}"
        return compatible_subject(swift, loopback(ca=ca.pem), endpoint, s3_addressing_style="virtual")


class TestCompatibleAutomaticStyle(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """The style is left to the names: the virtual host here."""
        endpoint = f"https://s3.localhost:{tls_port(swift)}"
        return compatible_subject(swift, loopback(ca=ca.pem), endpoint, s3_addressing_style="auto")


class TestCompatibleAutomaticStyleWithADot(ReadableContract):
    @pytest.fixture
    def subject(self, swift: StorageServer, ca: Authority) -> Subject:
        """The style is left to the names: path style here, as no certificate covers the dot."""
        endpoint = f"https://s3.localhost:{tls_port(swift)}"
        more = {"s3_addressing_style": "auto", "s3_bucket_name": "dotted.bucket"}
        return compatible_subject(swift, loopback(ca=ca.pem), endpoint, **more)


class TestPolicies(BucketContract):
    """A second opinion, by a server where policies decide who may delete."""

    @pytest.fixture
    def subject(self, moto_iam: PolicyServer) -> Subject:
        key_id, secret = moto_iam.users["writer"]
        nodelete_id, nodelete_secret = moto_iam.users["nodelete"]
        keys = {"s3_access_key_id": key_id, "s3_secret_access_key": secret, "s3_bucket_name": moto_iam.bucket}
        return Subject(
            provider=s3compatible.PROVIDER,
            fields=S3_FIELDS | keys | {"type": "s3compatible", "s3_endpoint": moto_iam.url},
            settings=loopback(),
            wrong_secret={"s3_secret_access_key": "wrong"},
            no_bucket={"s3_bucket_name": "no-such-bucket"},
            no_delete={"s3_access_key_id": nodelete_id, "s3_secret_access_key": nodelete_secret},
            keys=partial(moto_iam.server.keys, key_id, moto_iam.bucket),
            read=partial(moto_iam.server.read, key_id, moto_iam.bucket),
            unfinished=unfinished(moto_iam.server, key_id, moto_iam.bucket),
            parts=Parts(threshold=5 * 1024**2, size=5 * 1024**2, at_once=2),
        )
