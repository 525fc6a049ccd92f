"""What the command logs, plain or as JSON, without the text of exceptions. Never set up when embedded."""

import json
import logging
import re
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiohttp.abc import AbstractAccessLogger

from consignee.errors import ConsigneeError

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

    from consignee.settings import LogSettings

_NOISY: Final = ("aiobotocore", "asyncio", "boto3", "botocore", "urllib3")
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}
_BARE: Final = re.compile(r'[^\s"=]+')
_MAX_DEPTH: Final = 6
_MAX_FRAMES: Final = 20
_MAX_LINES: Final = 100


def configure_logging(settings: "LogSettings") -> None:
    """Send the log of the whole process to standard error, in the form and from the level of the settings."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.format == "json" else PlainFormatter())
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
    def _parts(self, record: logging.LogRecord) -> dict[str, Any]:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {
            "ts": stamp.replace("+00:00", "Z"),
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
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _exception(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _veil(value: object) -> object:
    """Another's exception may quote a secret; our own are written so that none does."""
    if isinstance(value, ConsigneeError):
        return f"{type(value).__qualname__}: {value}"
    return type(value).__qualname__ if isinstance(value, BaseException) else value


def _show(value: object) -> str:
    return str(_veil(value))


class PlainFormatter(_Formatter):
    """A line for a person: time, level, logger, message, `extra` as key=value; below it, any exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        parts = self._parts(record)
        line = f"{parts['ts']} {parts['level'].upper()} {parts['logger']}: {parts['message']}"
        for key, value in _extra(record).items():
            shown = _show(value)
            line += f" {key}={shown if _BARE.fullmatch(shown) else json.dumps(shown)}"
        exc = _exception(record)
        below = "" if exc is None else "\n  " + outline(exc).replace("\n", "\n  ")
        return escape(line) + below


class JsonFormatter(_Formatter):
    """One JSON object per line: ts, level, logger, message, the fields of `extra`, and any exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        parts = self._parts(record)
        exc = _exception(record)
        if exc is not None:
            parts["exception"] = outline(exc).split("\n")
        return json.dumps(parts | {k: v for k, v in _extra(record).items() if k not in parts}, default=_show)


class AccessLogger(AbstractAccessLogger):
    """aiohttp's access log: no query string and no headers, for both may hold an API key."""

    def log(self, request: "BaseRequest", response: "StreamResponse", time: float) -> None:
        """Log one request, which took `time` seconds."""
        self.logger.info(
            "%s %s",
            escape(request.method),
            escape(request.rel_url.raw_path),
            extra={
                "status": response.status,
                "bytes": response.body_length,
                "ms": round(time * 1000, 1),
                "remote": request.remote,
                "trace_id": response.headers.get("X-Trace-ID"),
            },
        )

    @property
    def enabled(self) -> bool:
        """Whether anybody wants these lines."""
        return self.logger.isEnabledFor(logging.INFO)
