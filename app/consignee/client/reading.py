"""From JSON to frozen dataclasses, by their annotations: nothing is believed that has another type."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NoReturn, TypeVar

from consignee.client.errors import NotUnderstood

_LARGEST: Final = 10**18
_STRANGE: Final = "the service answered something else than consignee does"

Kind = TypeVar("Kind")


def read(kind: type[Kind], found: object) -> Kind:
    """Return the dataclass that the JSON object describes, without members that it does not know; raises NotUnderstood."""
    made: Kind = member({"": found}, "", kind)
    return made


def member(answer: Mapping[str, Any], name: str, kind: Any) -> Any:
    """Return a member of an answer, as that type; raises NotUnderstood."""
    return _reader(kind)(answer.get(name, dataclasses.MISSING))


@cache
def _reader(hint: Any) -> Callable[[object], Any]:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _of_dataclass(hint)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _or_none(_reader(next(one for one in inner if one is not types.NoneType)))
    if origin is tuple:
        return _of_list(_reader(inner[0]))
    return _of_mapping(_reader(inner[1])) if origin is not None else _PLAIN[hint]


def _of_dataclass(kind: Any) -> Callable[[object], Any]:
    hints = typing.get_type_hints(kind)
    readers = {each.name: (_reader(hints[each.name]), each.default) for each in dataclasses.fields(kind)}

    def made(found: object) -> Any:
        members = kind.arranged(found) if isinstance(found, dict) else _strange()
        values = {name: members.get(name, default) for name, (_, default) in readers.items()}
        return kind(**{name: reader(values[name]) for name, (reader, _) in readers.items()})

    return made


def _or_none(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda found: None if found is None else reader(found)


def _of_list(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda found: tuple(map(reader, found)) if isinstance(found, list) else _strange()


def _of_mapping(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda found: {name: reader(one) for name, one in found.items()} if isinstance(found, dict) else _strange()


def _count(found: object) -> int:
    return found if type(found) is int and 0 <= found < _LARGEST else _strange()


def _number(found: object) -> float:
    return found if type(found) in (int, float) and 0 <= found < _LARGEST else _strange()  # type: ignore[operator,return-value]


_PLAIN: Final[Mapping[Any, Callable[[object], Any]]] = {
    str: lambda found: found if isinstance(found, str) else _strange(),
    bool: lambda found: found if isinstance(found, bool) else _strange(),
    int: _count,
    float: _number,
    Any: lambda found: found if found is not dataclasses.MISSING else _strange(),
}


def _strange() -> NoReturn:
    raise NotUnderstood(_STRANGE)
