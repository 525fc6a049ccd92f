"""Whom and what a line of the log concerns: ids, which go with every line that is written meanwhile in the same task."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

SUBJECT: Final[ContextVar[dict[str, str]]] = ContextVar("consignee_subject", default={})  # noqa: B039 - nobody writes into it
"""The ids by what they are of: `request`, `account`, `destination`, `delivery`, `collection`."""


def about(**ids: str) -> None:
    """From now on, this task concerns these too, and so do those that it begins."""
    SUBJECT.set(SUBJECT.get() | ids)


@contextmanager
def concerning(**ids: str) -> Iterator[None]:
    """Within the context, the task concerns these too."""
    before = SUBJECT.set(SUBJECT.get() | ids)
    try:
        yield
    finally:
        SUBJECT.reset(before)
