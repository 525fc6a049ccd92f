"""The contract over Google Cloud Storage, with HMAC keys and with a service account, at Google's own names and elsewhere."""

import json
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import AbstractResolver

from canaries import HMAC_SECRET
from consignee.demo.storage import StorageServer
from consignee.providers import gcs
from consignee.settings import Settings
from consignee.testing.buckets import Subject
from consignee.testing.readable import ReadableContract
from fakes.certificates import Authority
from fakes.google import HOSTS, Google, Resolver
from fakes.google_oauth import private_key
from fakes.leading import LeadingResolver
from providers.opening import COMMON, loopback
from providers.test_s3_contract import unfinished

TESTER, BUCKET = "test:tester", "demo-bucket"
WRITER, CREATOR = (f"{name}@demo-project.iam.gserviceaccount.com" for name in ("writer", "creator"))


def hmac_subject(server: StorageServer, settings: Settings, resolver: AbstractResolver | None = None) -> Subject:
    """A destination with HMAC keys, at a server that checks AWS Signature 4 for the region auto."""
    keys = {"gcs_access_key": TESTER, "gcs_secret_key": HMAC_SECRET}
    return Subject(
        provider=gcs.PROVIDER,
        fields=COMMON | keys | {"type": "gcs", "gcs_bucket_name": BUCKET},
        settings=settings,
        wrong_secret={"gcs_secret_key": "wrong"},
        no_bucket={"gcs_bucket_name": "no-such-bucket"},
        no_delete={"gcs_access_key": "test:nodelete", "gcs_secret_key": "testing2"},
        keys=partial(server.keys, TESTER, BUCKET),
        read=partial(server.read, TESTER, BUCKET),
        unfinished=unfinished(server, TESTER, BUCKET),
        resolver=resolver,
    )


def account_subject(google: Google, settings: Settings, resolver: AbstractResolver | None = None) -> Subject:
    """A destination with a service account, at the strict fake of Google."""
    objects = google.create_bucket(BUCKET)
    account, creator = google.service_account(WRITER), google.service_account(CREATOR, may=["create"])

    async def keys() -> list[str]:
        return sorted(objects)

    async def read(key: str) -> bytes:
        return objects[key]

    async def unfinished() -> list[str]:
        return google.sessions.unfinished()

    def given(content: dict[str, str]) -> dict[str, str]:
        return {"gcs_service_account_json": json.dumps(content, indent=2)}

    return Subject(
        provider=gcs.PROVIDER,
        fields=COMMON | given(account) | {"type": "gcs", "gcs_bucket_name": BUCKET},
        settings=settings,
        wrong_secret=given(account | {"private_key": private_key(1)}),
        no_bucket={"gcs_bucket_name": "no-such-bucket"},
        no_delete=given(creator),
        keys=keys,
        read=read,
        resolver=resolver,
        unfinished=unfinished,
    )


class TestHmacAtTheOperatorsEndpoint(ReadableContract):
    @pytest.fixture
    def subject(self, swift_auto: StorageServer) -> Subject:
        """Plain http; the bucket is the first folder."""
        return hmac_subject(swift_auto, loopback(gcs=swift_auto.url))


class TestHmacAtGooglesOwnName(ReadableContract):
    @pytest.fixture
    def subject(self, swift_auto: StorageServer, ca: Authority) -> Subject:
        """As in production, over TLS: only the name service leads elsewhere, and there is one more authority to trust."""
        port = urlsplit(swift_auto.tls_url or "").port or 443
        return hmac_subject(swift_auto, loopback(ca=ca.pem), LeadingResolver({"storage.googleapis.com": port}))


class TestServiceAccountAtGooglesOwnNames(ReadableContract):
    @pytest.fixture
    async def subject(self, ca: Authority) -> AsyncIterator[Subject]:
        """As in production, over TLS, the request for the token too."""
        google = Google()
        async with google.serving(tls=ca.server_context(*HOSTS)) as server:
            yield account_subject(google, loopback(ca=ca.pem), Resolver(server.port))


class TestServiceAccountAtTheOperatorsEndpoint(ReadableContract):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        """Plain http; the endpoint gives the tokens as well."""
        google = Google()
        async with google.serving() as server:
            yield account_subject(google, loopback(gcs=server.url))
