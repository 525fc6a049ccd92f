"""What a service says is believed only as far as it makes sense."""

import json
from typing import Any

import pytest

from consignee.client import ApiError, Client, NotUnderstood, Unreachable
from consignee.client.answers import Account, Destination
from consignee.client.progress import DeliveryStatus, Progress, ResultPage
from consignee.client.reading import member, read
from consignee.client.understanding import events, lines, understood
from fakes.scripted import Answer, scripted

URL = "http://127.0.0.1:9"
GOOD: dict[str, Any] = {
    "status": "success", "log": [], "files_total": 2, "files_done": 1, "bytes_done": 7, "attempts": 1,
    "next_attempt_at": None, "code": None,
}  # fmt: skip
DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"5", b"[]", b"{}", b'{"request_info": 5}', b'{"request_info": {}}', DEEP, b'{"a": ' * 100_000],
)
def test_what_is_no_answer_is_told_to_be_another_service(content: bytes) -> None:
    with pytest.raises(NotUnderstood, match="is not consignee"):
        understood(200, {}, content, url=URL)


@pytest.mark.parametrize(("status", "passing"), [(400, False), (404, False), (429, True), (503, True)])
def test_a_refusal_is_told_with_what_makes_sense_of_it(status: int, passing: bool) -> None:
    answer = {
        "request_info": {"success": False, "message": "No.", "code": 5},
        "errors": {"a": ["b", 5, ["c"]], "d": "e"},
        "connectivity": {"ok": "perhaps"},
    }
    with pytest.raises(ApiError, match=r"^No\.$") as raised:
        understood(status, {"Retry-After": "soon"}, json.dumps(answer).encode(), url=URL)
    error = raised.value
    assert (error.code, error.status, error.passing) == ("internal_error", status, passing)
    assert (error.errors, error.connectivity, error.retry_after) == ({"a": ["b", "", ""]}, None, None)


def test_a_success_with_a_status_of_failure_is_none() -> None:
    with pytest.raises(ApiError):
        understood(500, {}, b'{"request_info": {"success": true}}', url=URL)


@pytest.mark.parametrize(
    "changed",
    [
        {"status": None},
        {"log": {}},
        {"log": ["text"]},
        {"log": [{"text": 5, "date_time": ""}]},
        {"log": [{"text": ""}]},
        {"files_done": "1"},
        {"files_total": None},
        {"attempts": True},
        {"bytes_done": 1.5},
        {"bytes_done": -1},
        {"bytes_done": 10**30},
        {"code": 5},
    ],
    ids=repr,
)
def test_a_member_of_another_type_is_no_answer(changed: dict[str, Any]) -> None:
    assert read(DeliveryStatus, GOOD).bytes_done == 7
    with pytest.raises(NotUnderstood, match="something else than consignee"):
        read(DeliveryStatus, {**GOOD, **changed})


@pytest.mark.parametrize("found", [None, 5, [], {}, {"destination_status": []}, {"destination_status": {"A": None}}])
def test_an_answer_that_is_not_an_object_or_lacks_a_member_is_none(found: object) -> None:
    with pytest.raises(NotUnderstood):
        read(Progress, found)


def test_members_that_are_not_known_yet_are_left_out() -> None:
    status = read(DeliveryStatus, {**GOOD, "new": 1})
    assert status.to_json() == GOOD
    assert read(Progress, {"destination_status": {"A": GOOD}, "webhook_status": None}).finished


def test_a_member_that_is_missing_is_no_answer() -> None:
    with pytest.raises(NotUnderstood):
        member({}, "account_info", Account)
    with pytest.raises(NotUnderstood):
        read(Destination, {"id": "A"})
    for results in ("null", "5", "[5]", "[{}]"):
        with pytest.raises(NotUnderstood):
            read(ResultPage, {"collection_id": "A", "results_count": 0, "results": json.loads(results)})


def test_what_is_no_number_to_json_is_none_here() -> None:
    with pytest.raises(NotUnderstood):
        understood(200, {}, b'{"request_info": {"success": true}, "resent": NaN}', url=URL)


async def pieces(*content: bytes) -> Any:
    """Yield content that comes in pieces."""
    for piece in content:
        yield piece


async def test_lines_and_events_are_put_together_however_they_come() -> None:
    whole = b"event: status\r\ndata: {}\r\n\r\n: nothing\n\ndata:a\ndata: b\nid: 7\n\nevent: end\ndata"
    for size in (1, 2, 7, 100):
        cut = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert [one async for one in events(pieces(*cut))] == [("status", b"{}"), ("message", b"a\nb")]
    assert [one async for one in lines(pieces(b"a\n", b"", b"b", b"c\r\n\n", b"d"))] == [b"a", b"bc", b""]


async def test_a_stream_that_is_none_is_refused() -> None:
    async with scripted(lambda _: Answer(200, {}, b"<html>\n")) as server, Client(server.url, "k") as client:
        with pytest.raises(NotUnderstood, match="not JSON"):
            _ = [one async for one in client.destinations.verify()]


async def test_a_test_that_is_broken_off_is_not_taken_for_a_good_one() -> None:
    async with (
        scripted(lambda _: Answer(200, {}, b'{"under_way": "upload"}\n')) as server,
        Client(server.url, "k") as client,
    ):
        with pytest.raises(Unreachable, match="broke off the test"):
            await client.destinations.test("0000ABCD", under_way=lambda _: None)


async def test_pages_without_an_end_are_not_read_for_ever() -> None:
    counts = {"total_count": 1, "total_pages": 10**9, "current_page": 1, "count_this_page": 0}
    body = json.dumps({"request_info": {"success": True}, **counts, "collections": []}).encode()
    async with scripted(lambda _: Answer(200, {}, body)) as server, Client(server.url, "k") as client:
        assert [one async for one in client.collections.list()] == []
        assert len(server.requests) == 1
