"""A watch over a process for canaries: in what is logged, whatever the level, answered, printed, and on command lines.

What is found is added to a file, never with the canary itself. In Python processes that the tests start,
`egress_site/sitecustomize.py` installs the watch again; not in storage servers, which may say what they like.
"""

import json
import logging
import os
import re
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO

import canaries

REPORT: Final = "CANARY_WATCH_REPORT"
"""The variable of the environment that names the file; each line of it is a JSON object."""
_STORAGES: Final = ("consignee.demo.swift", "moto_iam", "fakes.chaos", "chaos_process", "pip")
_STARTS: Final = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn"})
_OVERLAP: Final = 128


@dataclass(frozen=True)
class Exemption:
    """Which canaries may be seen where, during which tests, all as patterns of the whole, and why that is no leak."""

    channel: str
    canary: str
    where: str
    why: str
    tests: str = ".*"

    def covers(self, channel: str, canary: str, where: str, test: str) -> bool:
        """Whether this is such a place."""
        patterns = ((self.canary, canary), (self.where, where), (self.tests, test))
        return channel == self.channel and all(re.fullmatch(pattern, text) for pattern, text in patterns)


EXEMPT: Final = (
    Exemption("printed", "a created API key", r"(python \S+/)?consignee keys create", "a new key is shown this once"),
    Exemption("answered", "a created API key", "POST /keys", "on the operator's own socket, to the command above"),
    Exemption("answered", "a webhook's secret", r"POST /collections|PUT /collections/\{id\}", "a made one, this once"),
    Exemption(
        "answered", "token in a webhook's URL", r"(GET|POST|PUT) /collections(/\{id\})?", "to the webhook's owner"
    ),
    Exemption("stored", "token in a webhook's URL", r"\S+\.jsonl", "the URL of a webhook is no secret field"),
    # Not of `serve`: its lines are made in our own module `log`.
    Exemption(
        "logged",
        "token in a webhook's URL|(a created )?API key",
        r"by aiohttp\.access in web_log",
        "the query string in the access log of the test's own server: a receiver, or a host application",
    ),
    Exemption("logged", "API key", r"by urllib3\.connectionpool in \w+", "by a customer's client"),
    Exemption(
        "logged",
        "a signature (in a URL|of a request)",
        r"by urllib3\.connectionpool in \w+",
        "made up by the fuzzer, of words that it finds in the tests, and logged by its client",
        "tests/fuzz/test_api.*",
    ),
    Exemption(
        "logged",
        ".*",
        r"by botocore\.auth in auth",
        "made up by hypothesis, of words that it finds in the tests, and logged by the oracle",
        "tests/providers/test_signatures.*",
    ),
    Exemption("started", "(a created )?API key|S3-compatible secret", "(curl|bash)( .*)?", "a customer's client"),
    Exemption("started", "(S3-compatible|Google HMAC) secret", r"python\S* -P -m consignee\.demo\.swift", "a storage"),
    Exemption("started", "Azure account key", "(env|node) .*", "a storage"),
    Exemption(
        "logged",
        "a signature of a request",
        r"by (botocore\.endpoint|oss2\.http) in \w+",
        "an SDK by itself",
        "tests/fakes/.*",
    ),
    Exemption("raised", "(a )?Google (access )?token", "ClientResponseError", "an SDK by itself", "tests/fakes/.*"),
)

_looking: Final = threading.local()
_tails: Final[weakref.WeakKeyDictionary[Any, tuple[str, str]]] = weakref.WeakKeyDictionary()
_installed: Final[set[str]] = set()


def install(*, streams: bool = False) -> None:
    """Begin to watch this process, for good; with `streams`, also what it prints."""
    if _installed:
        return
    _installed.add("log")
    _watch_logging()
    sys.addaudithook(_hook)
    if streams:
        for stream in (sys.stdout, sys.stderr):
            _watch_stream(stream)


def install_in_child() -> None:
    """Watch a process that a test started, unless it is a storage or a client of another kind."""
    line = " ".join(sys.orig_argv)
    if REPORT in os.environ and not any(name in line for name in _STORAGES):
        install(streams=True)


def look(channel: str, where: str | Callable[[], str], text: str, *, test: str | None = None) -> None:
    """Report the canaries in a text, but for those that are exempt; without a `test` it is the one that runs."""
    if names := canaries.found(text):
        _report(channel, names, where if isinstance(where, str) else where(), test)


def _report(channel: str, names: set[str], where: str, test: str | None) -> None:
    where = where.split("\n")[0][:200]
    test = test or os.environ.get("PYTEST_CURRENT_TEST", "no test")
    for name in sorted(names):
        if not any(rule.covers(channel, name, where, test) for rule in EXEMPT):
            _write(channel, name, where, test)


def _write(channel: str, name: str, where: str, test: str) -> None:
    shown = {key: "(a canary)" if canaries.found(text) else text for key, text in (("where", where), ("test", test))}
    if path := os.environ.get(REPORT):
        with open(path, "a") as file:
            file.write(json.dumps({"channel": channel, "canary": name, **shown}) + "\n")


def _watch_logging() -> None:
    """Make every record, however low its level; those that nobody asked for end here."""
    enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def handled(self: logging.Logger, record: logging.LogRecord) -> None:
        if not getattr(_looking, "now", False):
            _look_at(record)
        if enabled(self, record.levelno):
            handle(self, record)

    logging.Logger.isEnabledFor = lambda self, level: True  # type: ignore[method-assign]
    logging.Logger.handle = handled  # type: ignore[method-assign]


def _look_at(record: logging.LogRecord) -> None:
    _looking.now = True
    try:
        look("logged", f"by {record.name} in {record.module}", _text_of(record))
    finally:
        _looking.now = False


def _text_of(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):
        text = f"{record.msg!r} {record.args!r}"
    more = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    raised = record.exc_info[1] if record.exc_info else None
    return f"{text} {more or ''} {record.stack_info or ''} {text_of_exception(raised) if raised else ''}"


_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def text_of_exception(error: BaseException) -> str:
    """Return all that an exception and what it was raised from show of themselves."""
    return f"{''.join(traceback.format_exception(error))} {vars(error)!r}"


def _watch_stream(stream: TextIO) -> None:
    write = stream.write

    def written(text: str) -> int:
        look("printed", command_of(sys.orig_argv), text)
        return write(text)

    stream.write = written  # type: ignore[method-assign]


def command_of(line: Sequence[str]) -> str:
    """Return a command as far as it tells which it is: no more, for the rest may be a secret."""
    words = [word for word in line[:8] if re.fullmatch(r"[\w./-]{1,200}", word)]
    if "consignee" in words[1:4]:
        return " ".join(["consignee", *words[words.index("consignee") + 1 :][:2]])
    if words and words[0].endswith("/consignee"):
        return " ".join(["consignee", *words[1:3]])
    return " ".join([os.path.basename(words[0]), *words[1:4]]) if words else "?"


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _STARTS:
        _look_at_command(arguments[1])
    elif event == "socket.bind" and "aiohttp.web" in sys.modules:
        watch_answers()


def _look_at_command(line: Any) -> None:
    words = [line] if isinstance(line, str | bytes) else list(line or ())
    texts = [os.fsdecode(word) for word in words]
    look("started", lambda: command_of(texts), " ".join(texts))


def watch_answers() -> None:
    """Watch what aiohttp's server sends for our handlers."""
    from aiohttp import web

    if "answers" in _installed:
        return
    _installed.add("answers")
    prepare, write, end = web.StreamResponse.prepare, web.StreamResponse.write, web.StreamResponse.write_eof

    async def prepared(self: web.StreamResponse, request: web.BaseRequest) -> Any:
        made = await prepare(self, request)
        if "webhook-id" in request.headers:
            look_at_message(request.headers, getattr(request, "_read_bytes", None) or b"")
        if is_ours(request):
            _tails[self] = _route(request), ""
            look("answered", _route(request), f"{self.reason} {dict(self.headers)}")
        return made

    async def written(self: web.StreamResponse, data: Any) -> None:
        _look_at_answer(self, data)
        await write(self, data)

    async def ended(self: web.StreamResponse, data: Any = b"") -> None:
        _look_at_answer(self, data)
        await end(self, data)

    web.StreamResponse.prepare = prepared  # type: ignore[method-assign]
    web.StreamResponse.write = written  # type: ignore[method-assign]
    web.StreamResponse.write_eof = ended  # type: ignore[method-assign]


def _look_at_answer(response: Any, data: Any) -> None:
    if response in _tails and isinstance(data, bytes | bytearray | memoryview):
        route, before = _tails[response]
        text = before + bytes(data).decode("latin-1")
        look("answered", route, text)
        _tails[response] = route, text[-_OVERLAP:]


def look_at_message(headers: Mapping[str, str], body: bytes) -> None:
    """Look at what a webhook was sent."""
    look("told", "a webhook", f"{dict(headers)} {body.decode('latin-1')}")


def is_ours(request: Any) -> bool:
    """Whether a request is served by consignee, by one of its handlers or by its server alone."""
    keys = sys.modules.get("consignee.web.keys")
    if keys is None:
        return False
    if type(request.protocol).__module__ == "consignee.web.server":
        return True
    match = getattr(request, "_match_info", None)
    return match is not None and any(keys.SETTINGS in app for app in match.apps)


def _route(request: Any) -> str:
    match = getattr(request, "_match_info", None)
    resource = match.route.resource if match is not None else None
    return f"{request.method} {resource.canonical if resource is not None else '(no route)'}"
