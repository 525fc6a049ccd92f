"""What the command logs, plain or as JSON, without the text of exceptions. Never set up when embedded."""

import asyncio
import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from time import time as clock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TextIO

from aiohttp.abc import AbstractAccessLogger

from consignee.errors import ConsigneeError
from consignee.subject import SUBJECT

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

    from consignee.settings import LogSettings

_NOISY: Final = ("aiobotocore", "asyncio", "boto3", "botocore", "urllib3")
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}
_BARE: Final = re.compile(r'[^\s"=]+')
_MAX_DEPTH: Final = 6
_MAX_FRAMES: Final = 20
_MAX_LINES: Final = 100
_LATER: Final = 0.1
"""Seconds after which the line of a request is written, at the latest: what an end without warning loses of them."""
_MOST_WAITING: Final = 200
"""Lines of requests that wait for being written together; about as much as a pipe takes at once."""


def configure_logging(settings: "LogSettings") -> None:
    """Send the log of the whole process to standard error, in the form and from the level of the settings."""
    handler = LineHandler(JsonFormatter() if settings.format == "json" else PlainFormatter())
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def escape(text: str) -> str:
    """Return the text with all that can't be printed written as escapes, so that it stays on its line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def outline(exc: BaseException) -> str:
    """Return type and stack of the exception and its causes; never a text, which may hold a secret."""
    return "\n".join(islice(_outline(exc, _MAX_DEPTH), _MAX_LINES))


def _outline(exc: BaseException, depth: int) -> Iterator[str]:
    kind = type(exc)
    yield escape(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")
    frames = list(traceback.walk_tb(exc.__traceback__))
    for frame, line in frames[-_MAX_FRAMES:]:
        yield "  " + escape(f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}")
    for relation, other in _related(exc):
        if depth == 0:
            yield "and more"
            return
        first, *rest = islice(_outline(other, depth - 1), _MAX_LINES)
        yield f"{relation} {first}"
        yield from rest


def _related(exc: BaseException) -> Iterator[tuple[str, BaseException]]:
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            yield "holding", member
    if exc.__cause__ is not None:
        yield "caused by", exc.__cause__
    elif exc.__context__ is not None and not exc.__suppress_context__:
        yield "while handling", exc.__context__


class _Formatter(logging.Formatter):
    _second = 0
    _date = ""

    def _stamp(self, seconds: float) -> str:
        """Return the time, of which only the milliseconds are new most of the time."""
        second = int(seconds)
        if second != self._second:
            self._second, self._date = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{self._date}.{int((seconds - second) * 1000):03}Z"

    def _parts(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            "ts": self._stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }


def _message(record: logging.LogRecord) -> str:
    text = str(_veil(record.msg))
    args = tuple(map(_veil, record.args)) if isinstance(record.args, tuple) else record.args
    try:
        message = text % args if args else text
    except (KeyError, TypeError, ValueError):
        # Logging's own complaint would print the arguments.
        return f"{text} (its arguments do not fit)"
    # After the first line, asyncio prints a task with its exception and that one's text.
    return message.split("\n")[0] if record.name == "asyncio" else message


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What is told besides the message; what the record says itself of whom it concerns goes before what the task does."""
    return {**SUBJECT.get(), **{key: value for key, value in vars(record).items() if key not in _STANDARD}}


def add_ids(record: logging.LogRecord) -> bool:
    """A filter for handlers of a host application: gives a record the ids of what it concerns, as attributes; lets all pass."""
    for name, id_ in SUBJECT.get().items():
        vars(record).setdefault(name, id_)
    return True


def _exception(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _veil(value: object) -> object:
    """Another's exception may quote a secret; our own are written so that none does."""
    if isinstance(value, ConsigneeError):
        return f"{type(value).__qualname__}: {value}"
    return type(value).__qualname__ if isinstance(value, BaseException) else value


def _show(value: object) -> str:
    return str(_veil(value))


@lru_cache(maxsize=256)
def _known_pair(key: str, value: str | None) -> str:
    return escape(_pair(key, value))


def _pair(key: str, value: object) -> str:
    shown = _show(value)
    return f" {key}={shown if shown.isalnum() or _BARE.fullmatch(shown) else json.dumps(shown)}"


class PlainFormatter(_Formatter):
    """A line for a person: time, level, logger, message, `extra` as key=value; below it, any exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        parts = self._parts(record)
        line = f"{parts['ts']} {parts['level'].upper()} {parts['logger']}: {parts['message']}"
        line += "".join(_pair(key, value) for key, value in _extra(record).items())
        exc = _exception(record)
        below = "" if exc is None else "\n  " + outline(exc).replace("\n", "\n  ")
        return escape(line) + below

    def of_request(self, name: str, seen: "Seen") -> str:
        """Return the line of a request, as `format` does that of its record."""
        at, method, path, status, size, ms, remote, ids = seen
        remote = _known_pair("remote", remote)
        pairs = "".join([f" {name}={id_}" if id_.isalnum() else _pair(name, id_) for name, id_ in ids.items()])
        line = f"{self._stamp(at)} INFO {name}: {method} {path} status={status} bytes={size} ms={ms}{remote}{pairs}"
        return escape(line)


class JsonFormatter(_Formatter):
    """One JSON object per line: ts, level, logger, message, the fields of `extra`, and any exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        parts = self._parts(record)
        exc = _exception(record)
        if exc is not None:
            parts["exception"] = outline(exc).split("\n")
        return json.dumps(parts | {k: v for k, v in _extra(record).items() if k not in parts}, default=_show)

    def of_request(self, name: str, seen: "Seen") -> str:
        """Return the line of a request, as `format` does that of its record."""
        message = f"{escape(seen.method)} {escape(seen.path)}"
        parts = {"ts": self._stamp(seen.at), "level": "info", "logger": name, "message": message}
        return json.dumps(parts | seen.extra())


class Seen(NamedTuple):
    """What the access log tells of a request; `at` is in seconds since 1970, `ids` are of whom and what it concerns."""

    at: float
    method: str
    path: str
    status: int
    bytes: int
    ms: float
    remote: str | None
    ids: Mapping[str, str]

    def extra(self) -> dict[str, Any]:
        """Return what there is besides the message."""
        return {"status": self.status, "bytes": self.bytes, "ms": self.ms, "remote": self.remote, **self.ids}


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error: the lines of requests together, a moment later, and all others at once, in their order.

    An end without warning loses the lines of the requests of the last moment; every other end writes them first.
    """

    def __init__(self, formatter: PlainFormatter | JsonFormatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._of_request = formatter.of_request
        self._waiting: list[tuple[str, Seen]] = []
        self._planned: asyncio.AbstractEventLoop | None = None

    @classmethod
    def alone(cls, logger: logging.Logger) -> Self | None:
        """Return the handler of such a kind to which, and to nothing else, all goes that a logger tells; None if none is."""
        root = logging.getLogger()
        is_root_s = logger.propagate and logger.parent is root and not logger.handlers and not logger.filters
        if not is_root_s or len(root.handlers) != 1 or logger.getEffectiveLevel() > logging.INFO:
            return None
        (handler,) = root.handlers
        return handler if isinstance(handler, cls) and not handler.filters else None

    def add(self, name: str, seen: Seen) -> None:
        """Take in a request; call it in the event loop."""
        self._waiting.append((name, seen))
        if len(self._waiting) >= _MOST_WAITING:
            self._write()
        elif (loop := asyncio.get_running_loop()) is not self._planned:
            self._planned = loop
            loop.call_later(_LATER, self._moment_over)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, behind the requests that came before it."""
        self._write()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits."""
        self._write()
        super().flush()

    def _moment_over(self) -> None:
        self._planned = None
        self._write()

    def _write(self) -> None:
        with self.lock or nullcontext(), suppress(OSError, ValueError):  # it may be that nobody reads it any more
            waiting, self._waiting = self._waiting, []
            if waiting:
                self.stream.write("".join([self._of_request(*one) + self.terminator for one in waiting]))


class AccessLogger(AbstractAccessLogger):
    """aiohttp's access log: no query string and no headers, for both may hold an API key."""

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        self._lines = LineHandler.alone(logger)

    def log(self, request: "BaseRequest", response: "StreamResponse", time: float) -> None:
        """Log one request, which took `time` seconds."""
        seen = Seen(
            clock(),
            request.method,
            request.rel_url.raw_path,
            response.status,
            response.body_length,
            round(time * 1000, 1),
            request.remote,
            self.ids_of(request) or _answered_as(response),
        )
        if self._lines is not None:
            self._lines.add(self.logger.name, seen)
        else:
            self.logger.info("%s %s", escape(seen.method), escape(seen.path), extra=seen.extra())

    def ids_of(self, request: "BaseRequest") -> Mapping[str, str]:
        """Return the ids of whom and what a request concerns; this is called in the task that has answered it."""
        return SUBJECT.get()

    @property
    def enabled(self) -> bool:
        """Whether anybody wants these lines."""
        return self.logger.isEnabledFor(logging.INFO)


def _answered_as(response: "StreamResponse") -> Mapping[str, str]:
    """The id of a request that never reached the application."""
    known = response.headers.get("X-Trace-ID")
    return {} if known is None else {"request": known}
