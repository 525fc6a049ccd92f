"""What a service says is believed only as far as it makes sense, and printed only as far as it is harmless."""

import json
from pathlib import Path
from typing import Any

import pytest

from commands.test_following import COLLECTION, follow, service
from consignee.commands.answers import (
    Refused,
    Result,
    Status,
    Unreachable,
    collections_in,
    destination_in,
    result_in,
    understood,
)
from fakes.scripted import Answer, Request

URL = "http://127.0.0.1:9"
GOOD = {"status": "success", "log": [], "files_total": 2, "files_done": 1, "bytes_done": 7}
DEEP = b"[" * 100_000


def told(**content: Any) -> bytes:
    """Return a successful answer."""
    return json.dumps({"request_info": {"success": True}, **content}).encode()


def result(**changed: Any) -> dict[str, Any]:
    """Return an answer whose only delivery is changed like that."""
    return {"result": {"id": 1, "destination_status": {"A": {**GOOD, **changed}}}}


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"5", b"[]", b"{}", b'{"request_info": 5}', b'{"request_info": {}}', DEEP, b'{"a": ' * 100_000],
)
def test_what_is_no_answer_is_told_to_be_another_service(content: bytes) -> None:
    with pytest.raises(Unreachable, match="is not consignee"):
        understood(200, content, url=URL)


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (404, Refused), (429, Unreachable), (503, Unreachable)])
def test_a_refusal_is_told_without_what_steers_a_terminal(status: int, kind: type[Exception]) -> None:
    info = {"success": False, "message": "No\x1b[2J."}
    answer = {"request_info": info, "errors": {"a\x07": ["b\x1b", 5, ["c"]], "d": "e"}}
    with pytest.raises(kind) as raised:
        understood(status, json.dumps(answer).encode(), url=URL)
    assert "No" in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"result": 5},
        {"result": {}},
        {"result": {"id": 1}},
        {"result": {"id": 1, "destination_status": []}},
        {"result": {"id": "1", "destination_status": {}}},
        {"result": {"id": True, "destination_status": {}}},
        {"result": {"id": -1, "destination_status": {}}},
        {"result": {"id": 10**30, "destination_status": {}}},
        {"result": {"id": 1.5, "destination_status": {}}},
        {"result": {"id": 1, "destination_status": {"A": None}}},
        {"result": {"id": 1, "destination_status": {"\x1b[2J": GOOD}}},
        {"result": {"id": 1, "destination_status": {"../../keys": GOOD}}},
        {"result": {"id": 1, "destination_status": {"": GOOD}}},
        result(status=None),
        result(log={}),
        result(log=["text"]),
        result(log=[{"text": 5}]),
        result(files_done="1"),
        result(files_total=None),
        result(bytes_done=1.5),
        result(bytes_done=-(10**17)),
    ],
    ids=repr,
)
def test_a_result_set_that_makes_no_sense_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        result_in(answer)


def test_a_result_set_is_read_and_made_fit_to_be_printed() -> None:
    log = [{"date_time": "2030-01-01T00:00:00Z", "text": "first"}, {"text": "last\x1b[1m"}]
    found = result_in(result(status="odd\x1b]0;", log=log))
    status = Status("odd\N{REPLACEMENT CHARACTER}]0;", 1, 2, 7, "last\N{REPLACEMENT CHARACTER}[1m")
    assert found == Result(1, {"A": status})


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"collections": 5, "total_pages": 1},
        {"collections": [], "total_pages": "1"},
        {"collections": [5], "total_pages": 1},
        {"collections": [{"id": "A"}], "total_pages": 1},
        {"collections": [{"id": 5, "name": "a"}], "total_pages": 1},
        {"collections": [{"id": "A?x=", "name": "a"}], "total_pages": 1},
        {"collections": [{"id": "A", "name": None}], "total_pages": 1},
    ],
    ids=repr,
)
def test_collections_that_make_no_sense_are_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        collections_in(answer)


@pytest.mark.parametrize("answer", [{}, {"destination": None}, {"destination": {"id": "A", "name": 5}}])
def test_a_destination_that_makes_no_sense_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        destination_in(answer)


@pytest.mark.parametrize(
    "body", [told(), told(collections=5), told(collections=[{"id": "\x1b[2J", "name": "Reports"}], total_pages=1), DEEP]
)
async def test_the_command_says_what_is_wrong_and_no_more(file: Path, body: bytes) -> None:
    status, said, error = await follow(lambda _: Answer(200, {"Content-Type": "application/json"}, body), file)
    assert (status, said) == (2, "")
    assert error.startswith("consignee: ")
    assert "Traceback" not in error and "\x1b" not in error


async def test_pages_without_an_end_are_not_read_for_ever(file: Path) -> None:
    body = told(collections=[], total_pages=10**9)
    status, _, error = await follow(lambda _: Answer(200, {"Content-Type": "application/json"}, body), file)
    assert status == 2
    assert "no collection" in error


async def test_a_result_set_that_makes_no_sense_once_is_followed_on(file: Path) -> None:
    """As with anything else that stands in the way of the service for a while."""
    name = json.dumps({"request_info": {"success": True}, "destination": {"name": 5}}).encode()
    good = json.loads(told(**result()))
    good["result"]["id"] = 7
    following = service(
        lambda: Answer(200, {}, told(result={})),
        lambda: Answer(200, {}, json.dumps(good).encode()),
    )

    def respond(request: Request) -> Answer:
        return Answer(200, {}, name) if request.path.startswith("/api/destinations/") else following(request)

    status, said, _ = await follow(respond, file)
    assert (status, said.splitlines()) == (
        0,
        [f"result set 7 of collection {COLLECTION}: 1 file, 7 bytes", "A: success, 1 of 2 files"],
    )
