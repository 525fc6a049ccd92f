"""From the bytes of a body or a query string to a dict, the same for JSON and forms, or a clear error."""

import asyncio
import codecs
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from aiohttp import HttpVersion11, web
from aiohttp.hdrs import CONTENT_ENCODING, CONTENT_TYPE

from consignee.clock import timestamp
from consignee.errors import InvalidRequest
from consignee.providers.fields import text_problem
from consignee.settings import LimitsSettings
from consignee.web.errors import BadRequest
from consignee.web.keys import ADMISSION, DESTINATIONS, PLACE, QUERY, SETTINGS

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
Parse = Callable[[str, LimitsSettings], dict[str, Any]]
_DEPTH: Final = LimitsSettings.json_depth
_DIGITS: Final = 400
_NAMED: Final = 20
"""How many wrong fields of one sort are named in an answer."""
_LONGEST_NAME: Final = 64


async def read_fields(request: web.Request, *, required: bool = True) -> dict[str, Any]:
    """Return the fields of a JSON or form body; an absent body is an error, or no fields if it is not `required`."""
    if not required and not request.can_read_body:
        return {}
    parse = _parser(request)
    limits = request.app[SETTINGS].limits
    body = await _read(request, limits)
    if PLACE in request:
        request.app[ADMISSION].charge(request, len(body))
    text = _text(body)
    fields = parse(text, limits)
    if "\\" not in text and _is_flat(fields) and text.isprintable() and parse is _parse_json:
        return fields  # nothing was escaped, so that what is in the fields is what could be seen
    destinations = request.app.get(DESTINATIONS)
    multiline = destinations.catalog.multiline if destinations else ()
    check_strings(fields, multiline=multiline, depth=limits.json_depth)
    return fields


def _is_flat(fields: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in fields.values())


async def ask_for_body(request: web.Request) -> None:
    """Answer `Expect: 100-continue`; other expectations, and all of HTTP/1.0, are ignored, as RFC 9110 allows."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        with suppress(ConnectionError):  # that the client has gone shows when the body is read
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def read_query(request: web.Request) -> dict[str, list[str]]:
    """Return the parameters of the query string, each with all its values; they are read once."""
    known: dict[str, list[str]] | None = request.get(QUERY)
    if known is not None:
        return known
    text = request.rel_url.raw_query_string
    query: dict[str, list[str]] = {}
    for name, value in _pairs(text, most=100):
        if name in query:
            query[name].append(value)
        else:
            query[name] = [value]
    if not _is_plain(text):
        check_strings(query)
    request[QUERY] = query
    return query


def _is_plain(text: str) -> bool:
    """Whether every character stands for itself, and can be printed."""
    return text.isascii() and text.isprintable() and "%" not in text and "+" not in text


def read_ids(fields: Mapping[str, Any], name: str) -> list[str] | None:
    """Return the ids in a field: a list of them, or one text with commas; None where it is absent. Raises InvalidRequest."""
    ids = fields.get(name)
    if isinstance(ids, str):
        ids = [one.strip() for one in ids.split(",") if one.strip()]
    if ids is None or (isinstance(ids, list) and all(isinstance(one, str) for one in ids)):
        return ids
    raise InvalidRequest({name: ["must be a list of destinations' ids"]})


def read_time(fields: Mapping[str, Any], name: str) -> str:
    """Return the time in a field as times are stored, ISO 8601 in UTC; empty where it is absent. Raises InvalidRequest."""
    text = fields.get(name)
    if text is None or text == "":
        return ""
    try:
        time = datetime.fromisoformat(text)
        return timestamp(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest({name: ["must be a time in ISO 8601, such as 2026-01-31T12:00:00Z"]}) from None


def _parser(request: web.Request) -> Parse:
    headers = request.headers
    if CONTENT_ENCODING in headers:
        raise BadRequest("unsupported_media_type", "A body with a Content-Encoding is not accepted: send it as it is.")
    given = headers.getall(CONTENT_TYPE, ())
    if len(given) == 1 and given[0] in _PARSERS:  # as most send it: without any parameter
        return _PARSERS[given[0]]
    if len(given) != 1 or request.content_type not in _PARSERS:
        raise BadRequest("unsupported_media_type", f"The Content-Type must be {JSON} or {FORM}.")
    if not _is_utf8(request.charset or "utf-8"):
        raise BadRequest("unsupported_media_type", "The charset must be UTF-8.")
    return _PARSERS[request.content_type]


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in ("utf-8", "ascii")
    except (LookupError, ValueError):
        return False


async def _read(request: web.Request, limits: LimitsSettings) -> bytes:
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_large(limits)
    if request.content.is_eof() and request.content.exception() is None:
        return _whole(request.content.read_nowait(), limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise _too_large(limits)
    except TimeoutError:
        raise BadRequest(
            "request_timeout", f"The body did not arrive within {limits.body_timeout:g} seconds."
        ) from None
    except (web.RequestPayloadError, ConnectionError, ValueError):
        raise BadRequest("invalid_request", "The body was cut off or is not well formed.") from None
    return bytes(body)


def _whole(body: bytes, limits: LimitsSettings) -> bytes:
    """Return a body that lies here already."""
    if len(body) > limits.body_bytes:
        raise _too_large(limits)
    return body


def _too_large(limits: LimitsSettings) -> BadRequest:
    return BadRequest("payload_too_large", f"The body is larger than {limits.body_bytes} bytes.")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadRequest("invalid_request", "The body is not valid UTF-8.") from None


def _parse_json(text: str, limits: LimitsSettings) -> dict[str, Any]:
    try:
        fields = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_int, parse_float=_float
        )
    except (ValueError, RecursionError):
        raise BadRequest("invalid_json", "The body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise BadRequest("invalid_json", "The body must be a JSON object.")
    return fields


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _twice([name for name, _ in pairs])
    return found


def _twice(names: list[str]) -> NoReturn:
    repeated = islice((name for name, times in Counter(names).items() if times > 1), _NAMED)
    raise InvalidRequest({name: ["is given more than once"] for name in sorted(map(shown, repeated))})


def _no_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large")
    return value


def _parse_form(text: str, limits: LimitsSettings) -> dict[str, Any]:
    pairs = _pairs(text, most=limits.form_fields)
    fields = dict(pairs)
    if bracketed := [*islice((name for name in fields if "[" in name or "]" in name), _NAMED)]:
        problem = "brackets are not understood: send a plain name"
        raise InvalidRequest({name: [problem] for name in sorted(map(shown, bracketed))})
    if len(fields) < len(pairs):
        _twice([name for name, _ in pairs])
    return fields


def _pairs(text: str, *, most: int) -> list[tuple[str, str]]:
    if _is_plain(text) and text.count("&") < most:
        return [pair.partition("=")[::2] for pair in text.split("&") if pair]
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise BadRequest(
            "invalid_request", "The parameters are not valid UTF-8; write a percent sign as %25."
        ) from None
    except ValueError:
        raise BadRequest("invalid_request", f"There are more than {most} parameters.") from None


_PARSERS: Final[Mapping[str, Parse]] = {JSON: _parse_json, FORM: _parse_form}


def check_strings(fields: Mapping[str, Any], *, multiline: Collection[str] = (), depth: int = _DEPTH) -> None:
    """Raise InvalidRequest for control characters, NUL or lone surrogates anywhere, and for more levels than `depth`.

    The fields named in `multiline` may hold line breaks and tabs.
    """
    errors: dict[str, list[str]] = {}
    for name, value in fields.items():
        if found := _problem([name, value], depth + 1, multiline=name in multiline):
            errors[shown(name)] = [found]
        if len(errors) == _NAMED:
            break
    if errors:
        raise InvalidRequest(errors)


def _problem(value: object, depth: int, *, multiline: bool) -> str | None:
    if depth == 0:
        return "is nested too deeply"
    if isinstance(value, str):
        return text_problem(value, multiline=multiline)
    items = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(items, list):
        for item in items:
            if found := _problem(item, depth - 1, multiline=multiline):
                return found
    return None


def shown(name: str) -> str:
    """Return a field's name as it can be answered: without what makes it unfit, and not longer than names are."""
    return "".join(character for character in name[:_LONGEST_NAME] if text_problem(character) is None)
