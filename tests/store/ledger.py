"""What a writer told of its changes, and whether what is found after a crash fits to it.

Each document has one writer at a time, which begins a change only when the one before has ended. So after a crash there
must be the acknowledged value, or the one of a change that was begun later; nothing older, nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Value = str | None  # None: the document is removed


class Ledger:
    """Takes in what was begun and acknowledged, by document, and judges what is found."""

    def __init__(self) -> None:
        self._possible: dict[str, list[Value]] = {}
        self.acknowledged = 0

    def begin(self, document: str, value: Value) -> None:
        """Note that a change to `value` was asked for."""
        self._possible.setdefault(document, [None]).append(value)

    def acknowledge(self, document: str, value: Value) -> None:
        """Note that the newest change to `value` was reported as durable."""
        values = self._possible[document]
        newest = len(values) - 1 - values[::-1].index(value)
        del values[:newest]
        self.acknowledged += 1

    def refuse(self, document: str) -> None:
        """Note that the newest change was reported as not made, and that nothing of it is left."""
        self._possible[document].pop()

    def read(self, events: Path, *, until: int | None = None) -> None:
        """Take in a file of lines `["begin" or "acknowledge", document, value]`, its last one perhaps cut.

        Of what stands after its first `until` bytes only the beginnings count.
        """
        end = 0
        for line in events.read_bytes().splitlines(keepends=True):
            end += len(line)
            if line.endswith(b"\n"):
                self._take(*json.loads(line), late=until is not None and end > until)

    def _take(self, what: str, document: str, value: Value, *, late: bool) -> None:
        if what == "begin":
            self.begin(document, value)
        elif not late:
            self.acknowledge(document, value)

    def complaints(self, found: Mapping[str, str]) -> list[str]:
        """Return what is lost or wrong, a sentence each."""
        return [
            f"{document}: found {found.get(document)!r}, expected one of {values!r}"
            for document, values in self._possible.items()
            if found.get(document) not in values
        ] + [f"{document}: nobody ever wrote it" for document in found.keys() - self._possible.keys()]

    def settle(self, found: Mapping[str, str]) -> None:
        """Take what was found as what must be there from now on."""
        self._possible = {document: [found.get(document)] for document in self._possible}


def documents(pairs: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return what was found as a ledger names it, from account, id and value of each document."""
    return {f"{account}/{id_}": value for account, id_, value in pairs}
