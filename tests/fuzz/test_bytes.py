"""Whatever bytes come: an answer in our envelope or a closed connection, and a service that goes on."""

import asyncio
import time
from dataclasses import replace
from typing import Final

import pytest

from .mutations import Connection
from .storm import Storm
from .target import SECONDS, Target, is_complaint
from .wire import Answer, answers, exchange, require_ours

TIMEOUT: Final = 0.5
"""Seconds for a request to arrive: many never do."""
TRIES: Final = 20


def test_no_bytes_bring_about_a_fault(target: Target) -> None:
    """Half of `FUZZ_SECONDS` long; the first few hundred requests are the same each time."""
    end, storm, number = time.monotonic() + SECONDS, Storm(target), 0
    while number == 0 or time.monotonic() < end:
        storm.rage(number)
        number += 1
    print(f"{storm.requests} requests, answers by status: {dict(storm.statuses)}")  # noqa: T201
    assert target.complaints() == []
    assert {200, 400, 404} <= storm.statuses.keys(), "nothing gets as far as the application"


def test_what_is_sent_arrives_and_what_is_answered_is_read(target: Target) -> None:
    """Also in pieces, pipelined, with a body in chunks, and without the body that HEAD leaves out."""
    get = b"GET /destination-types HTTP/1.1\r\nHost: a\r\nX-API-Key: fuzz\r\n\r\n"
    head, last = (
        b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    sent = Connection((get[:20], get[20:] + head + last), requests=3)
    for _ in range(TRIES):
        found = list(answers(asyncio.run(exchange(target.port, sent, quiet=60))))
        if 408 not in [answer.status for answer in found]:  # unless we were held up in the middle
            break
    assert [answer.status for answer in found] == [200, 404, 200]
    assert [answer.body is None for answer in found] == [False, True, False]
    require_ours(found)


async def test_bytes_to_which_an_answer_is_wrong_are_named(target: Target) -> None:
    """Else nobody could look for the fault."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        storm = Storm(replace(target, serving=replace(target.serving, url=url)))
        with pytest.raises(AssertionError, match=r"(?s)status=500.*sent: \(b'GET / x'"):
            await storm.send([Connection((b"GET / x",), requests=1)])


OURS = {"content-type": "application/json", "x-trace-id": "a", "cache-control": "no-store"}
FAILED = b'{"request_info": {"success": false, "code": "c", "message": "m"}}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, OURS, FAILED),
        Answer(503, OURS, FAILED),
        Answer(200, OURS, FAILED),
        Answer(400, OURS, b'{"request_info": {"success": false, "code": "c", "message": ""}}'),
        Answer(400, OURS | {"x-trace-id": ""}, FAILED),
        Answer(400, OURS | {"cache-control": "public"}, FAILED),
        Answer(200, OURS, b'{"request_info": {"success": true}, "key": "canary+secret/of+the+storage"}'),
        Answer(200, OURS | {"content-type": "text/html"}, b"Traceback (most recent call last)"),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!r}"[:60],
)
def test_an_answer_that_no_client_may_get_would_be_seen(answer: Answer) -> None:
    with pytest.raises(AssertionError):
        require_ours([answer])


@pytest.mark.parametrize(
    "received",
    [
        b"<html>",
        b"HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}garbage\r\n\r\n",
    ],
)
def test_what_is_no_answer_would_be_seen(received: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        list(answers(received))


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("received", "bodies"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n" + HEAD, [b"abcd"]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab", [None]),
        (HEAD + b"Content-Length: 3\r\n\r\nab", [None]),
        (HEAD + b"\r\nto the end", [b"to the end"]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\na", [b"", b"a"]),
        (b"", []),
    ],
)
def test_answers_are_told_apart(received: bytes, bodies: list[bytes | None]) -> None:
    """One that has not wholly arrived has no body."""
    assert [answer.body for answer in answers(received)] == bodies


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ('{"level": "info", "message": "GET /account"}', False),
        ('{"level": "warning", "message": "the file can not be read"}', False),
        ('{"level": "error", "message": "internal error"}', True),
        ('{"level": "debug", "message": "x", "exception": ["ValueError"]}', True),
        ('{"level": "debug", "message": "canary-key-id"}', True),
        ("Exception ignored in: <coroutine object>", True),
        ('  File "server.py", line 3, in handle', True),
    ],
)
def test_a_line_of_the_log_that_must_not_be_there_would_be_seen(line: str, bad: bool) -> None:
    assert is_complaint(line) is bad
