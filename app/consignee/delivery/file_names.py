"""Which names the files of a result set may have: each becomes the last segment of an object key, exactly as it was sent."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from consignee.errors import InvalidRequest
from consignee.providers.fields import text_problem

NAME_BYTES: Final = 255
"""The longest name in bytes of UTF-8: what file systems take, and what the longest path prefix leaves room for."""

_SHOWN: Final = 80


def problem(name: str) -> str | None:
    """Return what is wrong with one name, as the end of the sentence "The name ...", or None."""
    if not name or name.isspace():
        return "must not be empty"
    if found := text_problem(name):
        return found
    if len(name.encode()) > NAME_BYTES:
        return f"must not be longer than {NAME_BYTES} bytes of UTF-8"
    if "\ufffe" in name or "\uffff" in name:
        return "must not contain U+FFFE or U+FFFF"  # The storages' own XML can't hold them.
    return _way_out(name) or _hidden_way_out(name)


def _way_out(name: str) -> str | None:
    if "/" in name or "\\" in name:
        return "must not contain a slash or a backslash"
    if name in (".", ".."):
        return "must not be . or .."
    return None


def _hidden_way_out(name: str) -> str | None:
    # A customer's system may normalize names when it reads the bucket; then U+FF0F is a slash.
    normalized = _normalized(name)
    if found := _way_out(normalized) or text_problem(normalized):
        return f"{found}, also after Unicode normalization"
    return None


def _normalized(name: str) -> str:
    """NFKC also unites what NFC would."""
    return unicodedata.normalize("NFKC", name)


class Names:
    """The names of one result set: each good, none twice, none of those that are `reserved`."""

    def __init__(self, *, reserved: Iterable[str] = ()) -> None:
        self._reserved = {_normalized(name) for name in reserved}
        self._taken: set[str] = set()

    def add(self, name: str) -> None:
        """Take a name; raises InvalidRequest if it is bad, reserved, or equal to another after Unicode normalization."""
        if found := problem(name) or self._clash(_normalized(name)):
            raise InvalidRequest({"files": [f"the name {_shown(name)} {found}"]})
        self._taken.add(_normalized(name))

    def _clash(self, normalized: str) -> str | None:
        if normalized in self._reserved:
            return "is reserved"
        return "repeats: names must differ, also after Unicode normalization" if normalized in self._taken else None


def _shown(name: str) -> str:
    """What can't be printed comes escaped, so that the message can be shown and logged."""
    return repr(name if len(name) <= _SHOWN else name[: _SHOWN - 1] + "…")
