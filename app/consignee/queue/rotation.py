"""Names that take turns: first who has least, then who has waited longest."""

from collections import OrderedDict


class Rotation:
    """Names, each with how many it has now."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._turns: dict[int, OrderedDict[str, None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._counts

    def put(self, name: str, count: int) -> None:
        """Take in a name, or its new count: behind all others that have as many."""
        if self._counts.get(name) != count:
            self.drop(name)
            self._counts[name] = count
            self._turns.setdefault(count, OrderedDict())[name] = None

    def drop(self, name: str) -> None:
        """Forget a name."""
        if (count := self._counts.pop(name, None)) is not None:
            del self._turns[count][name]
            if not self._turns[count]:
                del self._turns[count]

    def first(self) -> str | None:
        """Return whose turn it is; None if there is nobody."""
        return next(iter(self._turns[min(self._turns)])) if self._turns else None
