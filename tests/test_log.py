import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from consignee.errors import StoreError
from consignee.log import AccessLogger, JsonFormatter, LineHandler, PlainFormatter, Seen, escape, outline
from consignee.secret import Secret

FORMATTERS = [PlainFormatter(), JsonFormatter()]


class Log:
    """A logger of its own, and what a formatter made of its records."""

    def __init__(self, formatter: logging.Formatter, *, name: str = "consignee.test") -> None:
        self.stream = io.StringIO()
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(formatter)
        self.logger = logging.Logger(name, logging.DEBUG)
        self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(params=FORMATTERS, ids=["plain", "json"])
def log(request: pytest.FixtureRequest) -> Log:
    return Log(request.param)


def caught(act: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as info:  # noqa: PT011
        act()
    return info.value


def fail() -> None:
    raise ValueError("hunter2")


def fail_with_cause() -> None:
    try:
        fail()
    except ValueError as error:
        raise KeyError("hunter2") from error


def fail_meanwhile() -> None:
    try:
        fail()
    except ValueError:
        raise OSError("hunter2")  # noqa: B904


def fail_alone() -> None:
    try:
        fail()
    except ValueError:
        raise OSError("hunter2") from None


def fail_together() -> None:
    raise ExceptionGroup("hunter2", [caught_error(fail), caught_error(fail_with_cause)])


def caught_error(act: Callable[[], object]) -> Exception:
    return cast("Exception", caught(act))


def types(text: str) -> list[str]:
    return [line for line in text.split("\n") if not line.startswith("  ")]


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (fail, ["ValueError"]),
        (fail_with_cause, ["KeyError", "caused by ValueError"]),
        (fail_meanwhile, ["OSError", "while handling ValueError"]),
        (fail_alone, ["OSError"]),
        (fail_together, ["ExceptionGroup", "holding ValueError", "holding KeyError", "caused by ValueError"]),
    ],
)
def test_an_outline_has_types_and_places_but_no_text(act: Callable[[], object], expected: list[str]) -> None:
    text = outline(caught(act))
    assert types(text) == expected
    assert f"{__file__}:{fail.__code__.co_firstlineno + 1} in fail" in text or act is fail_alone
    assert "hunter2" not in text


def test_an_outline_names_the_module_of_a_type_of_its_own() -> None:
    assert types(outline(caught(lambda: json.loads("{")))) == ["json.decoder.JSONDecodeError"]


def test_an_outline_of_a_circle_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert types(outline(first))[-1] == "and more"


def test_an_outline_of_an_endless_recursion_is_short() -> None:
    def recurse() -> None:
        recurse()

    assert len(outline(caught(recurse)).split("\n")) < 30


def test_an_outline_of_a_wide_group_is_short() -> None:
    group: Exception = ValueError()
    for _ in range(4):
        group = ExceptionGroup("", [group] * 40)
    assert len(outline(group).split("\n")) <= 100


def test_a_logged_exception_shows_no_text(log: Log) -> None:
    """An exception's text may hold a secret, however it comes into the record."""
    try:
        fail()
    except ValueError as error:
        log.logger.exception("it failed")
        log.logger.error(error)
        log.logger.error("it failed: %s", error)
        log.logger.error("it failed", extra={"error": error})
    assert log.text.count("it failed") == 3
    assert log.text.count("ValueError") == 4
    assert "in fail" in log.text
    assert "hunter2" not in log.text


def test_a_secret_shows_nothing(log: Log) -> None:
    log.logger.info("key %s", Secret("hunter2"), extra={"key": Secret("hunter2")})
    assert log.text.count("***") == 2
    assert "hunter2" not in log.text


def test_a_task_that_failed_unseen_shows_no_text() -> None:
    """asyncio prints the task itself, and with it its exception's text, in further lines of the message."""
    log = Log(PlainFormatter(), name="asyncio")
    log.logger.error("Task exception was never retrieved\nfuture: <Task exception=ValueError('hunter2')>")
    assert "Task exception was never retrieved" in log.text
    assert "hunter2" not in log.text


@pytest.mark.parametrize("char", ["\n", "\r", "\x1b", "\0", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"])
def test_nobody_can_forge_a_line(log: Log, char: str) -> None:
    log.logger.info("name %s", f"a{char}INFO forged", extra={"field": f"b{char}c", f"k{char}": 1})
    assert log.text[-1] == "\n"
    assert char not in log.text[:-1]
    assert log.text[:-1].isprintable()


def test_arguments_that_do_not_fit_are_not_printed(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.logger.info("%d items", "hunter2")
    assert "items" in log.text
    assert "hunter2" not in log.text + capsys.readouterr().err


def test_a_plain_line_reads_well() -> None:
    log = Log(PlainFormatter())
    log.logger.warning("%s is full", "disk", extra={"free": 0, "path": "a b", "quoted": '"'})
    stamp, _, rest = log.text.partition(" ")
    assert len(stamp) == len("2026-03-01T12:00:00.000Z")
    assert rest == 'WARNING consignee.test: disk is full free=0 path="a b" quoted="\\""\n'


def test_a_json_line_has_the_fields_of_extra() -> None:
    log = Log(JsonFormatter())
    log.logger.info("saved %d", 3, extra={"account": "é", "level": "forged", "parts": [1, {"x": None}]})
    line = json.loads(log.text)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "consignee.test",
        "message": "saved 3",
        "account": "é",
        "parts": [1, {"x": None}],
    }


def test_a_json_line_has_the_exception_as_lines() -> None:
    log = Log(JsonFormatter())
    log.logger.error("it failed", exc_info=caught(fail_with_cause))
    lines = json.loads(log.text)["exception"]
    assert [line for line in lines if line[0] != " "] == ["KeyError", "caused by ValueError"]


def test_printable_text_is_left_alone() -> None:
    assert escape("a é 漢 \\n") == "a é 漢 \\n"


SCRIPT = """
import logging
from consignee.log import configure_logging
from consignee.settings import LogSettings
configure_logging(LogSettings(level={level!r}, format={form!r}))
for name in ("consignee", "botocore.auth", "asyncio"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "hello")
"""


def run(level: str, form: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(level=level, form=form)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["DEBUG consignee", "INFO consignee", "WARNING consignee"]),
        ("info", ["INFO consignee", "WARNING consignee"]),
        ("warning", ["WARNING consignee"]),
    ],
)
def test_the_command_logs_to_stderr_from_its_level(level: str, expected: list[str]) -> None:
    """The noise of libraries is left out below warning, whatever the level."""
    done = run(level, "plain")
    lines = [line.split(" ", 1)[1].partition(":")[0] for line in done.stderr.splitlines()]
    assert lines == [*expected, "WARNING botocore.auth", "WARNING asyncio"]
    assert done.stdout == ""


def test_the_command_logs_json_lines_if_told_so() -> None:
    lines = [json.loads(line) for line in run("warning", "json").stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["consignee", "botocore.auth", "asyncio"]


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="hello", headers={"X-Trace-ID": "abc"})


async def access_line(path: str, level: int = logging.INFO) -> str:
    log = Log(JsonFormatter())
    log.logger.setLevel(level)
    app = web.Application()
    app.router.add_get(r"/{tail:[\s\S]*}", answer)
    server = TestServer(app)
    await server.start_server(access_log=log.logger, access_log_class=AccessLogger)
    async with TestClient(server) as client:
        response = await client.get(path, headers={"X-API-Key": "hunter2"})
        assert await response.text() == "hello"
    return log.text


async def test_a_request_is_logged_without_query_string_and_headers() -> None:
    text = await access_line("/destinations?api_key=hunter2")
    line: dict[str, Any] = json.loads(text)
    assert line["message"] == "GET /destinations"
    assert (line["status"], line["remote"], line["request"]) == (200, "127.0.0.1", "abc")
    assert line["bytes"] >= len("hello")
    assert line["ms"] >= 0
    assert "hunter2" not in text
    assert "?" not in text


async def test_a_path_is_logged_as_it_was_sent() -> None:
    """Percent signs stay, so that neither a line break nor a space can be slipped in."""
    assert json.loads(await access_line("/a%0Ab%20c"))["message"] == "GET /a%0Ab%20c"


async def test_no_request_is_logged_where_nobody_listens() -> None:
    assert await access_line("/", logging.WARNING) == ""


def test_a_path_that_is_not_escaped_yet_is() -> None:
    """The log of a host application need not escape anything."""
    log = Log(logging.Formatter("%(message)s"))
    request = SimpleNamespace(method="GET", rel_url=SimpleNamespace(raw_path="/a\nb"), remote=None)
    response = SimpleNamespace(status=200, body_length=0, headers={})
    AccessLogger(log.logger, "").log(cast("Any", request), cast("Any", response), 0.1)
    assert log.text == "GET /a\\nb\n"


def test_our_own_errors_say_what_they_know() -> None:
    """By contract they hold no secret, and the operator needs the file's name and the reason."""
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (StoreError("could not write to x: disk full"),), None)
    assert "StoreError: could not write to x: disk full" in PlainFormatter().format(record)


def seen(path: str = "/a", **ids: str) -> Seen:
    """Return what there is to tell of a request."""
    return Seen(0.0625, "GET", path, 200, 12, 0.3, "::1", ids)


def lines_of(form: PlainFormatter | JsonFormatter) -> tuple[LineHandler, io.StringIO]:
    """Return a handler, and where it writes."""
    handler, stream = LineHandler(form), io.StringIO()
    handler.setStream(stream)
    return handler, stream


@pytest.mark.parametrize("form", FORMATTERS, ids=["plain", "json"])
@pytest.mark.parametrize("one", [seen(request="abc"), seen('/ü"=\u2028'), seen(request='"x=', account="ann")])
def test_the_line_of_a_request_is_that_of_its_record(form: PlainFormatter | JsonFormatter, one: Seen) -> None:
    """It is made in another way only because it is made so often."""
    record = logging.makeLogRecord({"name": "x", "levelno": logging.INFO, "levelname": "INFO", "created": one.at})
    record.msg, record.args = "%s %s", (escape(one.method), escape(one.path))
    vars(record).update(one.extra())
    assert form.of_request("x", one) == form.format(record)


async def test_lines_of_requests_are_written_together_and_before_any_other() -> None:
    handler, stream = lines_of(PlainFormatter())
    handler.add("x", seen("/1"))
    handler.add("x", seen("/2"))
    assert stream.getvalue() == ""
    handler.handle(logging.makeLogRecord({"name": "y", "levelname": "ERROR", "msg": "it failed"}))
    assert [line.split()[3] for line in stream.getvalue().splitlines()] == ["GET", "GET", "it"]
    handler.add("x", seen("/3"))
    handler.flush()
    assert "/3" in stream.getvalue()


async def test_lines_of_requests_are_written_a_moment_later() -> None:
    handler, stream = lines_of(PlainFormatter())
    for path in ("/1", "/2"):
        handler.add("x", seen(path))
        async with asyncio.timeout(20):
            while path not in stream.getvalue():
                await asyncio.sleep(0.01)


async def test_a_crowd_of_requests_is_written_at_once() -> None:
    handler, stream = lines_of(PlainFormatter())
    for _ in range(1000):
        handler.add("x", seen())
    assert len(stream.getvalue().splitlines()) >= 800


async def test_nobody_fails_where_the_log_can_not_be_written() -> None:
    handler, stream = lines_of(PlainFormatter())
    stream.close()
    handler.add("x", seen())
    handler._write()


ENDING = """
import asyncio, logging, sys
from consignee.log import AccessLogger, LineHandler, Seen, configure_logging
from consignee.settings import LogSettings
configure_logging(LogSettings())
async def main():
    lines = LineHandler.alone(logging.getLogger("aiohttp.access"))
    lines.add("aiohttp.access", Seen(0.0, "GET", "/last", 200, 0, 0.0, None, {}))
asyncio.run(main())
"""


def test_an_end_writes_what_waits() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True)
    assert "GET /last" in done.stderr


def test_whoever_else_wants_records_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written without records only where our own handler, and nothing else, would see those."""
    root, logger = logging.getLogger(), logging.Logger("aiohttp.access", logging.INFO)
    logger.parent = root
    ours = LineHandler(PlainFormatter())
    monkeypatch.setattr(root, "handlers", [ours])
    assert LineHandler.alone(logger) is ours
    logger.setLevel(logging.WARNING)
    assert LineHandler.alone(logger) is None
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(root, "handlers", [ours, logging.NullHandler()])
    assert LineHandler.alone(logger) is None
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    assert LineHandler.alone(logger) is None
    monkeypatch.setattr(root, "handlers", [ours])
    logger.addHandler(logging.NullHandler())
    assert LineHandler.alone(logger) is None
