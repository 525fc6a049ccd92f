"""What an error of the database means for whoever asked it, and what of it may be told."""

import asyncio
from enum import Enum
from typing import Final

from consignee.errors import OutcomeUnknown, StoreError, StoreFull


class Kind(Enum):
    """What to do about an error."""

    AGAIN = "it was undone because of others: do it again"
    AWAY = "the connection is of no use: do it again on another one"
    FULL = "there is no room on the disk"
    ELSE = "doing it again would not help"


_AGAIN: Final = {
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "a lock was not to be had in time",
}
_AWAY: Final = {
    "25006": "it takes no writes",
    "25P03": "it ended an idle transaction",
    "40003": "whether a statement took effect is not known",
    "53300": "it has too many connections",
    "57P01": "it is shutting down",
    "57P02": "it crashed",
    "57P03": "it is not ready",
    "57P05": "it ended an idle connection",
}
_CLASSES: Final = {
    "08": "the connection failed",
    "22": "it does not take a value",
    "23": "a constraint was violated",
    "28": "it refused the user or the password",
    "3D": "there is no such database",
    "42": "the schema is not as expected, or a right is missing",
    "53": "it lacks a resource",
    "54": "a limit was exceeded",
    "55": "an object is not in the right state",
    "57": "an operator intervened",
    "58": "a system error",
    "F0": "its configuration is wrong",
    "XX": "an internal error",
}
_LOST: Final = {"ConnectionDoesNotExistError", "InternalClientError", "TargetServerAttributeNotMatched"}
_STALE: Final = {"InvalidCachedStatementError"}
_REFUSED: Final = {"25006", "57P03"}


class Lost(Exception):
    """The connection is of no use, and nothing was asked through it."""


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE that the server gave; empty if it did not answer."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def is_full_up(error: BaseException) -> bool:
    """Whether the server has too many connections for one more."""
    return state_of(error) == "53300"


def is_foreign(error: BaseException) -> bool:
    """Whether the driver or the network raised it, and not what is ours."""
    return isinstance(error, Lost | OSError | asyncio.IncompleteReadError) or type(error).__module__.startswith(
        "asyncpg"
    )


def kind_of(error: BaseException) -> Kind:
    """Return what to do about an error."""
    state = state_of(error)
    if not is_foreign(error):
        return Kind.ELSE
    if state == "53100":
        return Kind.FULL
    if state in _AGAIN or type(error).__name__ in _STALE:
        return Kind.AGAIN
    return Kind.AWAY if state in _AWAY or state.startswith("08") or _is_lost(error) else Kind.ELSE


def _is_lost(error: BaseException) -> bool:
    if not type(error).__module__.startswith("asyncpg"):
        return True
    # "connection is closed": what else InterfaceError stands for are mistakes, which no other connection makes right.
    closed = type(error).__name__ == "InterfaceError" and "closed" in str(error)
    return closed or any(one.__name__ in _LOST for one in type(error).__mro__)


def is_certain(error: BaseException) -> bool:
    """Whether what was to commit has certainly not taken effect, given that it failed so."""
    if not is_foreign(error) or isinstance(error, Lost) or kind_of(error) is not Kind.AWAY:
        return True
    # The driver finds a connection closed before it sends anything.
    return state_of(error) in _REFUSED or type(error).__name__ == "InterfaceError"


def told(error: BaseException, name: str) -> StoreError:
    """Return the error of ours for one of the driver's: it tells where and of what kind, and quotes nothing."""
    if kind_of(error) is Kind.FULL:
        return StoreFull(f"the disk of the database at {name} is full")
    return StoreError(f"the database at {name} failed: {_why(error)}")


def unknown(name: str) -> OutcomeUnknown:
    """Return the error for a change of which nobody can tell whether it took effect."""
    return OutcomeUnknown(
        f"the database at {name} was lost while it committed: whether the change took effect is not known"
    )


def _why(error: BaseException) -> str:
    if state := state_of(error):
        why = _AGAIN.get(state) or _AWAY.get(state) or _CLASSES.get(state[:2], "it reports an error")
        return f"{why} (SQLSTATE {state})"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, FileNotFoundError | PermissionError) or type(error).__name__ == "ClientConfigurationError":
        return "what its URL asks for is not to be had, such as that sslmode, or that file of certificates"
    if isinstance(error, OSError):
        return "it can't be reached"
    return "the connection was lost" if kind_of(error) is Kind.AWAY else f"unexpectedly ({type(error).__name__})"
