"""What is special about S3-compatible stores: the endpoint, its region, and how the bucket is named."""

import re

import pytest

from consignee.body import BytesBody
from consignee.demo.storage import StorageServer
from consignee.errors import AccessDenied, WrongRegion
from consignee.providers import s3compatible
from consignee.providers.s3compatible import region_in
from fakes import hostile
from fakes.policies import PolicyServer
from fakes.resolver import FixedResolver
from fakes.scripted import Request
from providers.opening import S3_FIELDS, Fields, loopback, opened

BODY = BytesBody(b"content")
NAMES = FixedResolver({"s3.localhost": ["127.0.0.1"], "*.s3.localhost": ["127.0.0.1"]})


def at(endpoint: str, **more: str) -> Fields:
    """Return the fields of a destination there."""
    return S3_FIELDS | {"type": "s3compatible", "s3_endpoint": endpoint, **more}


def credential_scope(request: Request) -> str:
    """Return the region that a request was signed for."""
    return re.sub(r".*Credential=[^/]+/\d+/([^/]+)/.*", r"\1", request.headers["authorization"])


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://0123456789abcdef.r2.cloudflarestorage.com", "auto"),
        ("https://0123456789abcdef.eu.r2.cloudflarestorage.com", "auto"),
        ("https://s3.eu-central-1.wasabisys.com", "eu-central-1"),
        ("https://s3.wasabisys.com", "us-east-1"),
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://ams3.digitaloceanspaces.com", "ams3"),
        ("https://nyc3.digitaloceanspaces.com", "nyc3"),
        ("https://s3.fr-par.scw.cloud", "fr-par"),
        ("https://s3.nl-ams.scw.cloud", "nl-ams"),
        ("https://us-southeast-1.linodeobjects.com", "us-southeast-1"),
        ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.example.com:9000", "us-east-1"),
        ("https://storage.googleapis.com", "us-east-1"),
        ("https://198.51.100.7", "us-east-1"),
        ("https://[2001:db8::1]:9000", "us-east-1"),
        ("https://r2.cloudflarestorage.com.evil.example", "us-east-1"),
    ],
)
def test_the_region_that_an_endpoint_names(endpoint: str, region: str) -> None:
    assert region_in(endpoint) == region


@pytest.mark.parametrize(
    ("more", "found", "region"),
    [
        ({}, {}, "us-east-1"),
        ({}, {"region": "found-1"}, "found-1"),
        ({"s3_region": "chosen-1"}, {"region": "found-1"}, "chosen-1"),
        ({"s3_region": "auto"}, {}, "auto"),
    ],
)
async def test_which_region_is_signed_for(more: dict[str, str], found: dict[str, str], region: str) -> None:
    """The one that the customer chose, else the one that was found, else the usual."""
    async with (
        hostile.accepting() as server,
        opened(s3compatible.PROVIDER, at(server.url, **more), loopback(), found=found) as bucket,
    ):
        await bucket.put("key", BODY)
    assert [credential_scope(request) for request in server.requests] == [region]


async def test_without_a_region_the_right_one_is_found(swift_eu: StorageServer) -> None:
    async with opened(s3compatible.PROVIDER, at(swift_eu.url), loopback()) as bucket:
        await bucket.put("compatible", BODY)
    assert bucket.found == {"region": "eu-west-1"}


async def test_a_wrong_region_that_was_chosen_is_not_corrected(swift_eu: StorageServer) -> None:
    """The customer is told the right one instead."""
    async with opened(s3compatible.PROVIDER, at(swift_eu.url, s3_region="us-east-1"), loopback()) as bucket:
        with pytest.raises(WrongRegion) as failed:
            await bucket.put("key", BODY)
    assert "eu-west-1" in failed.value.hint
    assert failed.value.provider_code == "AuthorizationHeaderMalformed"
    assert bucket.found == {}


@pytest.mark.parametrize(
    ("style", "name", "host", "path"),
    [
        (None, "demo-bucket", "s3.localhost", "/demo-bucket/key"),
        ("path", "demo-bucket", "s3.localhost", "/demo-bucket/key"),
        ("virtual", "demo-bucket", "demo-bucket.s3.localhost", "/key"),
        ("virtual", "dotted.bucket", "dotted.bucket.s3.localhost", "/key"),
        ("auto", "demo-bucket", "demo-bucket.s3.localhost", "/key"),
        ("auto", "dotted.bucket", "s3.localhost", "/dotted.bucket/key"),
        ("auto", "under_score", "s3.localhost", "/under_score/key"),
        ("auto", "UpperCase", "s3.localhost", "/UpperCase/key"),
    ],
)
async def test_how_the_bucket_is_named(style: str | None, name: str, host: str, path: str) -> None:
    more = {"s3_addressing_style": style} if style else {}
    async with hostile.accepting() as server:
        fields = at(f"http://s3.localhost:{server.port}", s3_bucket_name=name, **more)
        async with opened(s3compatible.PROVIDER, fields, loopback(), resolver=NAMES) as bucket:
            await bucket.put("key", BODY)
    (request,) = server.requests
    assert (request.headers["host"], request.path) == (f"{host}:{server.port}", path)


async def test_the_automatic_style_puts_no_name_before_an_address() -> None:
    async with hostile.accepting() as server:
        fields = at(server.url, s3_addressing_style="auto")
        async with opened(s3compatible.PROVIDER, fields, loopback()) as bucket:
            await bucket.put("key", BODY)
    assert server.requests[0].path == "/demo-bucket/key"


async def test_an_operators_endpoint_takes_the_place_of_the_customers() -> None:
    async with hostile.accepting() as server, hostile.accepting() as customers:
        settings = loopback(s3compatible=server.url)
        async with opened(s3compatible.PROVIDER, at(customers.url), settings) as bucket:
            await bucket.put("key", BODY)
    assert (len(server.requests), customers.connections) == (1, 0)


async def test_a_key_without_any_right_is_denied(moto_iam: PolicyServer) -> None:
    key_id, secret = moto_iam.users["nobody"]
    fields = at(moto_iam.url, s3_access_key_id=key_id, s3_secret_access_key=secret, s3_bucket_name=moto_iam.bucket)
    async with opened(s3compatible.PROVIDER, fields, loopback()) as bucket:
        with pytest.raises(AccessDenied):
            await bucket.put("key", BODY)
