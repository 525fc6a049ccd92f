"""The step report, against every kind of server that one meets behind an endpoint."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from aiohttp.abc import AbstractResolver

from consignee.demo.storage import StorageServer
from consignee.errors import VerificationFailed
from consignee.outlets import open_outlets
from consignee.providers import s3compatible
from consignee.providers.memory import MemoryStorage
from consignee.settings import Settings
from consignee.transport import Trace
from consignee.verification import CONTENT, Report, Step, verify
from fakes import hostile
from fakes.certificates import Authority
from fakes.policies import PolicyServer
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Request, scripted
from providers.opening import COMMON, S3_FIELDS, draft_of, loopback

TOKEN = "0123456789abcdef"
FILE = f"consignee-test-{TOKEN}.txt"
SHORT = 0.3
LONG = 30.0


@dataclass(frozen=True)
class Outcome:
    """A report with the milliseconds that the whole test took."""

    report: Report
    elapsed: float

    @property
    def steps(self) -> list[str]:
        """The names of the steps; the last has its code if it failed."""
        return [step.step if step.ok else f"{step.step}: {step.code}" for step in self.report.steps]


async def proven(
    endpoint: str,
    *,
    settings: Settings | None = None,
    resolver: AbstractResolver | None = None,
    timeout: float = LONG,
    **fields: Any,
) -> Outcome:
    """Test a destination there, and check what holds of every report."""
    settings = settings or loopback()
    provider = s3compatible.PROVIDER
    draft = draft_of(provider, S3_FIELDS | {"type": "s3compatible", "s3_endpoint": endpoint, **fields}, settings)
    async with open_outlets(settings, resolver=resolver) as outlets:
        began = time.monotonic()
        report = await verify(
            draft,
            provider,
            lambda trace: outlets.transport(provider, trace),
            found={},
            timeout=timeout,
            token=TOKEN,
        )
        elapsed = (time.monotonic() - began) * 1000
    assert_well_formed(report, elapsed)
    return Outcome(report, elapsed)


def assert_well_formed(report: Report, elapsed: float) -> None:
    """At most one step fails, and it is the last; the parts don't take longer than the whole, but for rounding."""
    names = [step.step for step in report.steps]
    assert names == [name for name in ("resolve", "connect", "upload", "delete") if name in names]
    assert all(step.ok and step.code is None and step.hint is None for step in report.steps[:-1])
    assert all(step.ms >= 0 for step in report.steps)
    assert sum(step.ms for step in report.steps) <= elapsed + len(names)
    last = report.steps[-1]
    assert report.ok == last.ok == (report.message == "") == (report.code is None)
    assert last.ok or (last.hint and last.code == report.code)
    assert report.doubtful == (report.left_behind or report.doubtful)


@asynccontextmanager
async def nobody() -> AsyncIterator[Any]:
    """A port where nobody listens."""
    with hostile.refusing() as url:
        yield _At(url)


@dataclass(frozen=True)
class _At:
    url: str


async def test_a_good_destination_is_proven_and_left_as_it_was(swift: StorageServer) -> None:
    before = await swift.keys("test:tester", "demo-bucket")
    outcome = await proven(swift.url)
    assert outcome.steps == ["connect", "upload", "delete"]
    assert outcome.report.ok
    assert outcome.report.to_json() == {
        "ok": True,
        "steps": [
            {
                "step": step.step,
                "ok": True,
                "ms": step.ms,
                "code": None,
                "provider_code": None,
                "provider_request_id": None,
                "hint": None,
            }
            for step in outcome.report.steps
        ],
        "left_behind": None,
    }
    outcome.report.require_ok()
    assert await swift.keys("test:tester", "demo-bucket") == before


async def test_a_named_endpoint_is_resolved_first() -> None:
    async with hostile.accepting() as server:
        resolver = FixedResolver({"store.example": ["127.0.0.1"]})
        outcome = await proven(f"http://store.example:{server.port}", resolver=resolver)
    assert outcome.steps == ["resolve", "connect", "upload", "delete"]


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [
        ("", ""),
        ("exports", "exports/"),
        ("/exports//daily/", "exports/daily/"),
        ("%COLLECTION_NAME%/%DATE%", "sample-collection/2000_01_01/"),
        ("%COLLECTION_ID%-%RESULT_SET_ID%", "00000000-1/"),
    ],
)
async def test_the_file_is_written_under_the_rendered_prefix(prefix: str, folder: str) -> None:
    """There and nowhere else: the key may have no right outside."""
    async with hostile.accepting() as server:
        await proven(server.url, s3_path_prefix=prefix)
    assert [(request.method, request.path, request.body) for request in server.requests] == [
        ("PUT", f"/demo-bucket/{folder}{FILE}", CONTENT.payload()),
        ("DELETE", f"/demo-bucket/{folder}{FILE}", b""),
    ]


async def test_the_longest_prefix_that_can_be_saved_still_makes_a_key() -> None:
    """A token may be shorter than what it stands for."""
    async with hostile.accepting() as server:
        outcome = await proven(server.url, s3_path_prefix="%DATE%" * 76 + "/" + "x" * 7)
    assert outcome.report.ok


Scenario = tuple[Callable[[], AbstractAsyncContextManager[Any]], float, list[str]]
SCENARIOS: dict[str, Scenario] = {
    "nobody listens": (nobody, LONG, ["connect: endpoint_unreachable"]),
    "hangs": (hostile.hanging, SHORT, ["connect", "upload: timeout"]),
    "hangs in the handshake": (lambda: hostile.hanging(scheme="https"), SHORT, ["connect: timeout"]),
    "drips": (lambda: hostile.dripping(interval=0.01), SHORT, ["connect", "upload: timeout"]),
    "no TLS at the TLS port": (hostile.plain_at_tls_port, LONG, ["connect: tls_failed"]),
    "a page for everything": (hostile.html, LONG, ["connect", "upload: not_a_storage_service"]),
    "a page with 404": (lambda: hostile.html(status=404), LONG, ["connect", "upload: not_a_storage_service"]),
    "a page before the body": (hostile.html_unread, LONG, ["connect", "upload: not_a_storage_service"]),
    "asks to slow down": (hostile.throttling, LONG, ["connect", "upload: throttled"]),
    "a clock that differs": (hostile.skewed_clock, LONG, ["connect", "upload: clock_skew"]),
    "a body without end": (lambda: hostile.endless_body(status=403), LONG, ["connect", "upload: access_denied"]),
    "a good body without end": (hostile.endless_body, LONG, ["connect", "upload: not_a_storage_service"]),
    "headers without end": (hostile.endless_headers, LONG, ["connect", "upload: not_a_storage_service"]),
    "closes at once": (lambda: hostile.closing(after="accept"), LONG, ["connect", "upload: endpoint_unreachable"]),
    "closes later": (lambda: hostile.closing(after="request"), LONG, ["connect", "upload: endpoint_unreachable"]),
    "a fault": (lambda: hostile.answering(500), LONG, ["connect", "upload: provider_error"]),
    "must log in": (lambda: hostile.html(status=401), LONG, ["connect", "upload: credentials_rejected"]),
}


@pytest.mark.parametrize(("server", "timeout", "steps"), SCENARIOS.values(), ids=SCENARIOS)
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
    ("how", "code", "timeout"),
    [("refuses", "endpoint_unreachable", LONG), ("hangs", "timeout", 1.0), ("forbids", "access_denied", LONG)],
)
async def test_what_can_not_be_deleted_is_named(
    how: Literal["refuses", "hangs", "forbids"], code: str, timeout: float
) -> None:
    """By its full key, prefix included, as the customer finds it in the bucket."""
    async with hostile.undeletable(how) as server:
        outcome = await proven(server.url, timeout=timeout, s3_path_prefix="exports/%DATE%")
    assert outcome.steps == ["connect", "upload", f"delete: {code}"]
    key = f"exports/2000_01_01/{FILE}"
    assert outcome.report.left_behind == outcome.report.doubtful == outcome.report.to_json()["left_behind"] == key
    hint = outcome.report.steps[-1].hint
    assert hint
    assert (key in hint) == (how == "forbids")


async def test_the_deadline_is_for_the_whole_and_said_as_it_was_set() -> None:
    """A delete that hangs has what the upload left of it."""
    async with hostile.undeletable("hangs") as server:
        outcome = await proven(server.url, timeout=1.5)
    assert "within 1.5 seconds" in outcome.report.message


@pytest.mark.parametrize(
    ("server", "timeout", "doubtful"),
    [
        (hostile.hanging, SHORT, True),
        (lambda: hostile.closing(after="request"), LONG, True),
        (lambda: hostile.answering(500), LONG, True),
        (lambda: hostile.html(status=401), LONG, False),
        (hostile.throttling, LONG, False),
        (lambda: hostile.hanging(scheme="https"), SHORT, False),
        (nobody, LONG, False),
    ],
)
async def test_an_upload_that_was_not_refused_may_have_written(
    server: Callable[[], AbstractAsyncContextManager[Any]], timeout: float, doubtful: bool
) -> None:
    """What was sent and not answered is removed later, but the customer is told only of what is surely there."""
    async with server() as running:
        outcome = await proven(running.url, timeout=timeout)
    assert outcome.report.doubtful == (FILE if doubtful else None)
    assert outcome.report.left_behind is None


async def test_the_right_to_put_alone_is_not_enough(moto_iam: PolicyServer) -> None:
    key_id, secret = moto_iam.users["nodelete"]
    keys: dict[str, Any] = {
        "s3_access_key_id": key_id,
        "s3_secret_access_key": secret,
        "s3_bucket_name": moto_iam.bucket,
    }
    outcome = await proven(moto_iam.url, **keys)
    assert outcome.steps == ["connect", "upload", "delete: access_denied"]
    assert outcome.report.steps[-1].provider_code == "AccessDenied"
    assert FILE in await moto_iam.server.keys(moto_iam.users["writer"][0], moto_iam.bucket)


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


async def test_the_region_that_was_found_is_reported(swift_eu: StorageServer) -> None:
    """Also if the test fails after that."""
    assert (await proven(swift_eu.url)).report.found == {"region": "eu-west-1"}
    failed = await proven(swift_eu.url, s3_bucket_name="no-such-bucket")
    assert failed.report.code == "bucket_not_found"
    assert failed.report.found == {"region": "eu-west-1"}


async def test_a_connection_that_is_open_is_used_again() -> None:
    """The second test of the same session neither resolves nor connects, and does not say that it did."""
    provider, settings = s3compatible.PROVIDER, loopback()
    async with hostile.accepting() as server, open_outlets(settings) as outlets:
        draft = draft_of(provider, S3_FIELDS | {"type": "s3compatible", "s3_endpoint": server.url}, settings)

        async def again() -> list[str]:
            report = await verify(
                draft,
                provider,
                lambda trace: outlets.transport(provider, trace),
                found={},
                timeout=LONG,
                token=TOKEN,
            )
            return [step.step for step in report.steps]

        assert await again() == ["connect", "upload", "delete"]
        assert await again() == ["upload", "delete"]


async def test_a_storage_without_a_network_reports_its_two_steps() -> None:
    storage = MemoryStorage("bucket")
    fields = COMMON | {"type": "memory", "memory_secret": "memory-secret", "memory_bucket_name": "bucket"}
    draft = draft_of(storage.provider, fields, loopback())
    async with open_outlets(loopback()) as outlets:
        report = await verify(
            draft,
            storage.provider,
            lambda trace: outlets.transport(storage.provider, trace),
            found={},
            timeout=LONG,
            token=TOKEN,
        )
    assert [(step.step, step.ok) for step in report.steps] == [("upload", True), ("delete", True)]
    assert storage.buckets["bucket"] == {}


@dataclass
class Clock:
    """A clock that is moved by hand."""

    seconds: float = 0.0
    spent: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds


def test_a_trace_adds_up_what_each_phase_took() -> None:
    clock = Clock()
    trace = Trace(clock)
    for phase, seconds in (("connect", 0.001), ("resolve", 0.02), ("connect", 0.3), (None, 4.0), ("connect", 0.05)):
        trace.enter(phase)
        clock.seconds += seconds
    trace.enter(None)
    assert trace.current is None
    assert {name: round(ms) for name, ms in trace.spent.items()} == {"connect": 351, "resolve": 20}


def test_a_report_without_a_failure_has_no_code() -> None:
    report = Report(steps=(Step(step="upload", ok=True, ms=1),))
    assert (report.ok, report.code) == (True, None)
    failed = replace(report, steps=(*report.steps, Step(step="delete", ok=False, ms=1, code="timeout")))
    assert (failed.ok, failed.code) == (False, "timeout")


async def test_a_slow_connection_counts_as_connecting() -> None:
    """The retry in another region connects anew where the server closes: still one step of each name."""

    def answer(request: Request) -> Answer:
        region = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
        if b"eu-west-1" not in request.headers["authorization"].encode():
            return Answer(400, {"Connection": "close"}, region)
        return replace(hostile.as_storage(request), headers={"ETag": '"x"', "Connection": "close"})

    async with scripted(answer) as server:
        outcome = await proven(server.url)
    assert outcome.steps == ["connect", "upload", "delete"]
