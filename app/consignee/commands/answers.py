"""What a service answered, taken with distrust: all of it is of the right type, and fit to be printed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from consignee.errors import ConsigneeError

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LARGEST: Final = 10**18

Value = TypeVar("Value")


class Unreachable(ConsigneeError):
    """No answer, or none that says anything: another try may go well."""


class Refused(ConsigneeError):
    """The service answered, and does not do it."""


@dataclass(frozen=True)
class Named:
    """A collection or a destination."""

    id: str
    name: str


@dataclass(frozen=True)
class Status:
    """How the delivery to one destination goes; `told` is the last entry of its log."""

    status: str
    files_done: int
    files_total: int
    bytes_done: int
    told: str


@dataclass(frozen=True)
class Result:
    """A result set, with the status of its delivery by the id of each destination."""

    id: int
    deliveries: Mapping[str, Status]


def understood(status: int, content: bytes, *, url: str) -> Mapping[str, Any]:
    """Return the answer of the service at that URL; raises Refused or Unreachable."""
    try:
        answer = json.loads(content)
        info = answer["request_info"]
        good, message = bool(info["success"]), _text(info.get("message"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreachable(f"what answers at {url} with status {status} is not consignee") from None
    if good:
        return dict(answer)
    text = printable(" ".join([message, *_details(answer.get("errors"))]))
    raise Unreachable(text) if status >= 500 or status == 429 else Refused(text)


def collections_in(answer: Mapping[str, Any]) -> tuple[list[Named], int]:
    """Return one page of collections, and how many pages there are; raises Unreachable."""
    return [_named(one) for one in _of(answer, "collections", list)], _number(answer, "total_pages")


def destination_in(answer: Mapping[str, Any]) -> Named:
    """Return the destination; raises Unreachable."""
    return _named(_of(answer, "destination", dict))


def result_in(answer: Mapping[str, Any]) -> Result:
    """Return the result set; raises Unreachable."""
    result = _of(answer, "result", dict)
    deliveries = _of(result, "destination_status", dict)
    return Result(_number(result, "id"), {_id(one): _status(status) for one, status in deliveries.items()})


def printable(text: str) -> str:
    """Return the text without what would steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _status(found: object) -> Status:
    log = _of(found, "log", list)
    return Status(
        status=printable(_of(found, "status", str)),
        files_done=_number(found, "files_done"),
        files_total=_number(found, "files_total"),
        bytes_done=_number(found, "bytes_done"),
        told=printable(_of(log[-1], "text", str)) if log else "",
    )


def _named(found: object) -> Named:
    return Named(_id(_of(found, "id", str)), _of(found, "name", str))


def _id(text: str) -> str:
    """It becomes part of a path, and is printed."""
    return text if _ID.fullmatch(text) else _strange()


def _number(found: object, name: str) -> int:
    number = _of(found, name, int)
    return number if number is not True and number is not False and 0 <= number < _LARGEST else _strange()


def _of(found: object, name: str, kind: type[Value]) -> Value:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, kind) else _strange()


def _strange() -> NoReturn:
    raise Unreachable("the service answered something else than consignee does")


def _details(errors: object) -> list[str]:
    if not isinstance(errors, dict):
        return []
    return [f"{field}: {', '.join(map(_text, texts))}." for field, texts in errors.items() if isinstance(texts, list)]


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
