"""The steps of a connectivity test that goes well, and the milliseconds of each."""

from dataclasses import dataclass, field, replace

import pytest

from consignee.demo.storage import StorageServer
from consignee.outlets import open_outlets
from consignee.providers import s3compatible
from consignee.providers.memory import MemoryStorage
from consignee.transport import Trace
from consignee.verification import CONTENT, Report, Step, verify
from fakes import hostile
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Request, scripted
from providers.opening import COMMON, S3_FIELDS, draft_of, loopback
from proving import FILE, LONG, TOKEN, proven


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
