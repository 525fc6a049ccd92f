"""The step report, against every kind of server that one meets behind an endpoint."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from consignee.demo.storage import StorageServer
from consignee.errors import VerificationFailed
from fakes import hostile
from fakes.certificates import Authority
from fakes.resolver import FixedResolver
from providers.opening import loopback
from proving import LONG, SCENARIOS, SHORT, Scenario, proven

S3_SCENARIOS: dict[str, Scenario] = {
    **SCENARIOS,
    "a clock that differs": (hostile.skewed_clock, LONG, ["connect", "upload: clock_skew"]),
}


@pytest.mark.parametrize(("server", "timeout", "steps"), S3_SCENARIOS.values(), ids=S3_SCENARIOS)
async def test_a_hostile_server(
    server: Callable[[], AbstractAsyncContextManager[Any]], timeout: float, steps: list[str]
) -> None:
    async with server() as running:
        outcome = await proven(running.url, timeout=timeout)
    assert outcome.steps == steps
    assert outcome.report.left_behind is None
    with pytest.raises(VerificationFailed, match=r"^The connectivity test failed\. ") as failed:
        outcome.report.require_ok()
    assert failed.value.report is outcome.report


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (Authority.self_signed_context, "it is self-signed"),
        (lambda ca: ca.server_context(expired=True), "it has expired"),
        (lambda ca: ca.server_context("elsewhere.example"), "it is for another address"),
    ],
)
async def test_a_bad_certificate_is_named(ca: Authority, certificate: Callable[[Authority], Any], said: str) -> None:
    async with hostile.accepting(tls=certificate(ca)) as server:
        outcome = await proven(server.url, settings=loopback(ca=ca.pem))
    assert outcome.steps == ["connect: tls_failed"]
    assert said in outcome.report.message
    assert server.requests == []


async def test_a_certificate_for_another_name(ca: Authority) -> None:
    resolver = FixedResolver({"store.example": ["127.0.0.1"]})
    async with hostile.accepting(tls=ca.server_context("elsewhere.example")) as server:
        endpoint = f"https://store.example:{server.port}"
        outcome = await proven(endpoint, settings=loopback(ca=ca.pem), resolver=resolver)
    assert outcome.steps == ["resolve", "connect: tls_failed"]
    assert "it is for another name" in outcome.report.message


async def test_a_certificate_of_an_unknown_authority(ca: Authority) -> None:
    async with hostile.accepting(tls=ca.server_context()) as server:
        outcome = await proven(server.url)
    assert outcome.steps == ["connect: tls_failed"]
    assert "its issuer is unknown" in outcome.report.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """It would lead the file, and the signature, wherever the endpoint's owner likes."""
    async with hostile.redirecting(status) as redirecting:
        outcome = await proven(redirecting.url)
        assert redirecting.target.connections == 0
        assert len(redirecting.server.requests) == 1
    assert outcome.steps == ["connect", "upload: redirect_refused"]


async def test_a_name_that_does_not_exist() -> None:
    outcome = await proven("https://no.such.example", resolver=FixedResolver())
    assert outcome.steps == ["resolve: endpoint_unreachable"]
    assert "was not found" in outcome.report.message


async def test_a_name_service_that_is_down() -> None:
    outcome = await proven("https://down.example", resolver=FixedResolver(failing=["down.example"]))
    assert outcome.steps == ["resolve: endpoint_unreachable"]


async def test_a_name_service_that_hangs() -> None:
    resolver = FixedResolver(hanging=["slow.example"])
    outcome = await proven("https://slow.example", resolver=resolver, timeout=SHORT)
    assert outcome.steps == ["resolve: timeout"]
    assert "within 0.3 seconds" in outcome.report.message


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "127.0.0.2", "[::1]", "[fd00:ec2::254]"])
async def test_an_address_that_the_policy_forbids(address: str) -> None:
    """Nothing is sent there; and the report does not say what is known about the address."""
    outcome = await proven(f"https://{address}:9000")
    assert outcome.steps == ["connect: endpoint_refused"]
    assert address.strip("[]") not in outcome.report.message


async def test_a_name_that_leads_to_a_forbidden_address() -> None:
    resolver = FixedResolver({"inside.example": ["192.168.1.1", "fe80::1"]})
    outcome = await proven("https://inside.example", resolver=resolver)
    assert outcome.steps == ["resolve", "connect: endpoint_refused"]


@pytest.mark.parametrize(
    ("fields", "code", "provider_code"),
    [
        ({"s3_secret_access_key": "wrong"}, "credentials_rejected", "SignatureDoesNotMatch"),
        ({"s3_bucket_name": "no-such-bucket"}, "bucket_not_found", "NoSuchBucket"),
        ({"s3_region": "eu-west-9"}, "wrong_region", "AuthorizationHeaderMalformed"),
    ],
)
async def test_the_providers_own_code_is_passed_on(
    swift: StorageServer, fields: dict[str, Any], code: str, provider_code: str
) -> None:
    outcome = await proven(swift.url, **fields)
    assert outcome.steps == ["connect", f"upload: {code}"]
    step = outcome.report.steps[-1]
    assert step.provider_code == provider_code
    assert step.provider_request_id
