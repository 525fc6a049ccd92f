"""The contract over Alibaba Cloud OSS, against the strict fake: by path, by virtual host, and at the vendor's own name."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver

from canaries import OSS_SECRET
from consignee.providers import oss
from consignee.settings import Settings
from consignee.testing.buckets import Subject
from consignee.testing.readable import ReadableContract
from fakes.certificates import Authority
from fakes.leading import LeadingResolver
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from fakes.resolver import FixedResolver
from providers.opening import COMMON, loopback

BUCKET, REGION = "demo-bucket", "oss-cn-hangzhou"
USERS = {
    "LTAI5tWriter": User(OSS_SECRET),
    "LTAI5tNoDelete": User("nodelete-secret", may_delete=False),
    "LTAI5tReader": User("reader-secret", may_put=False, may_delete=False),
}
BUCKETS = {BUCKET: "cn-hangzhou", "far-bucket": "cn-shanghai"}
KEYS = {"oss_access_key": "LTAI5tWriter", "oss_secret_key": OSS_SECRET}
FIELDS = COMMON | KEYS | {"type": "oss", "oss_bucket_name": BUCKET, "oss_region_id": REGION}


def oss_subject(server: Oss, settings: Settings, resolver: AbstractResolver | None = None) -> Subject:
    """A destination at the fake."""

    async def keys() -> list[str]:
        return sorted(server.objects.get(BUCKET, {}))

    async def read(key: str) -> bytes:
        return server.objects[BUCKET][key]

    async def unfinished() -> list[str]:
        return server.unfinished

    return Subject(
        provider=oss.PROVIDER,
        fields=FIELDS,
        settings=settings,
        wrong_secret={"oss_secret_key": "wrong"},
        no_bucket={"oss_bucket_name": "no-such-bucket"},
        no_delete={"oss_access_key": "LTAI5tNoDelete", "oss_secret_key": "nodelete-secret"},
        keys=keys,
        read=read,
        resolver=resolver,
        longest=1023,
        unfinished=unfinished,
    )


class TestAtTheOperatorsEndpoint(ReadableContract):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        """Plain http; the bucket is the first folder, which only private clouds have."""
        async with oss_server(USERS, BUCKETS, path_style=True) as server:
            yield oss_subject(server, loopback(oss=server.url))


class TestAtAVirtualHostOverTls(ReadableContract):
    @pytest.fixture
    async def subject(self, ca: Authority) -> AsyncIterator[Subject]:
        """The operator's endpoint says where the bucket's name goes."""
        async with oss_server(USERS, BUCKETS, tls=ca.server_context()) as server:
            endpoint = f"https://{{bucket}}.s3.localhost:{server.port}"
            yield oss_subject(server, loopback(ca=ca.pem, oss=endpoint), FixedResolver({"*": ["127.0.0.1"]}))


class TestAtTheVendorsOwnName(ReadableContract):
    @pytest.fixture
    async def subject(self, ca: Authority) -> AsyncIterator[Subject]:
        """As in production, over TLS: only the name service leads elsewhere, and there is one more authority to trust."""
        host = f"{BUCKET}.{REGION}.aliyuncs.com"
        names = (host, f"no-such-bucket.{REGION}.aliyuncs.com")
        async with oss_server(USERS, BUCKETS, tls=ca.server_context(*names)) as server:
            yield oss_subject(server, loopback(ca=ca.pem), LeadingResolver({f"*.{REGION}.aliyuncs.com": server.port}))
