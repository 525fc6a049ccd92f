"""What a setting's value must be."""

import re
from collections.abc import Callable
from typing import Any, Final

from consignee.secret import Secret, parse_ring

Rule = Callable[[Any], object]
_HOST = r"\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._-]|\{account\}|\{region\}|\{bucket\})+"
_PATH = r"(?:/(?:[A-Za-z0-9._~-]|\{account\}|\{region\}|\{bucket\})+)+/?|/"
_ENDPOINT = re.compile(rf"(https?://({_HOST})(:(?P<port>[0-9]{{1,5}}))?({_PATH})?)?")
_HTTP_ORIGIN = re.compile(r"http://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]+")
_STORE = re.compile(r"postgres(?:ql)?://[!-~]+")
_EVERY = re.compile(r"([1-9][0-9]{0,5}[smhd])?")


def demand(accepts: Callable[[Any], object], expected: str) -> Rule:
    """Return the rule that a value must be what `accepts` finds true; `expected` says what that is."""

    def rule(value: Any) -> None:
        if not accepts(value):
            raise ValueError(f"must be {expected}")

    return rule


def between(low: float, high: float) -> Rule:
    """Return the rule that a number must be from `low` to `high`, both included."""
    return demand(lambda value: low <= value <= high, f"a number from {low} to {high}")


def one_of(*choices: str) -> Rule:
    """Return the rule that a value must be one of these."""
    told = ", ".join(filter(None, choices)) + (", or empty" if "" in choices else "")
    return demand(lambda value: value in choices, f"one of {told}")


def is_endpoint(url: str) -> bool:
    """Return whether that is the bare URL of a server, perhaps with what a destination fills in."""
    match = _ENDPOINT.fullmatch(url)
    return match is not None and 0 < int(match["port"] or 443) < 65536


def are_egress_rules(entries: tuple[str, ...]) -> None:
    """Raise ValueError, with a text for the operator, unless all of these are allow rules."""
    from consignee.egress import AllowRule

    for entry in entries:
        AllowRule.parse(entry)


def are_durations(steps: tuple[str, ...]) -> None:
    """Raise ValueError unless all of these are durations such as 5m."""
    for step in steps:
        if not step or not _EVERY.fullmatch(step):
            raise ValueError("must be whole numbers followed by s, m, h or d")


def is_sealing_key(key: Secret) -> None:
    """Raise ValueError unless that is a sealing key, or several."""
    parse_ring(key.reveal())


NOT_EMPTY: Final = demand(bool, "text that is not empty")
PERIOD: Final = demand(re.compile("[1-9][0-9]{0,5}[smhd]").fullmatch, "a duration such as 14d")
STORE_URL: Final = demand(
    lambda url: not url or _STORE.fullmatch(url.reveal()),
    "the URL of a PostgreSQL database, such as postgresql://consignee@db.internal/consignee, or empty",
)
KEY_PREFIX: Final = demand(
    re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*|").fullmatch,
    "text of letters, digits and . _ -, with single slashes between",
)
DURATION: Final = demand(_EVERY.fullmatch, "a whole number followed by s, m, h or d, or empty")
PROXY: Final = demand(
    lambda url: not url or (_HTTP_ORIGIN.fullmatch(url) and is_endpoint(url)),
    "an http URL of a host and a port and nothing else, such as http://proxy.internal:3128",
)
BARE_URL: Final = demand(
    is_endpoint, "an http or https URL of a host, and perhaps a port and a path: no query, no user name"
)
