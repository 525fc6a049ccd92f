"""The keys that nobody checks, and how a large file lies in the spool."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

KEY: Final = "bench"
SECRET: Final = "YmVuY2hiZW5jaGJlbmNo"


@dataclass(frozen=True)
class Spooled:
    """A result set of one file in a spool."""

    token: str
    file: dict[str, Any]

    def note(self, source: Path) -> None:
        """Write it down beside the file that was taken in."""
        source.with_suffix(".spooled").write_text(json.dumps([self.token, self.file]))

    @classmethod
    def of(cls, source: Path) -> "Spooled":
        """Return what was written down."""
        return cls(*json.loads(source.with_suffix(".spooled").read_text()))
