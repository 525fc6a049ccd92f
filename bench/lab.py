"""Where contenders run: processes on one core of their own, directories on disk and in memory, and a sink for uploads."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from contest import Sample

HOME: Final = Path(__file__).resolve().parent
CLIENTS: Final = HOME / "clients"
TURN_SECONDS: Final = 300.0
"""No turn may take longer."""
OURS_ON, OTHERS_ON = 0, 1
"""The cores of the contender, and of what it talks to."""


class TurnFailed(Exception):
    """A contender ended otherwise than it should; the text ends with what it printed."""


class Lab:
    """Everything that cases share. `quick` asks for small rounds that only show roughly how it stands."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._open = ExitStack()
        self._kept: dict[Callable[..., Any], Any] = {}
        self.memory = self._directory("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.disk = self._directory(str(HOME))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def pick(self, whole: Any, quick: Any) -> Any:
        """Return the size that suits this run."""
        return quick if self.quick else whole

    def shared(self, make: Callable[["Lab"], Iterator[Any]]) -> Any:
        """Return what the context manager `make` yields: entered when it is first asked for, left at the end."""
        if make not in self._kept:
            self._kept[make] = self._open.enter_context(contextmanager(make)(self))
        return self._kept[make]

    def _directory(self, parent: str | None) -> Path:
        made = Path(tempfile.mkdtemp(prefix=".bench-", dir=parent))
        self._open.callback(shutil.rmtree, made, ignore_errors=True)
        return made

    def turn(
        self,
        client: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        core: int | None = OURS_ON,
    ) -> Sample:
        """Run `clients/<client>.py` on one core (None: on all), and return the sample that its last line holds as JSON."""
        command = [sys.executable, str(CLIENTS / f"{client}.py"), *map(str, arguments)]
        return Sample(**json.loads(self.run(command, environment=environment, core=core).splitlines()[-1]))

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, core: int | None = OURS_ON
    ) -> str:
        """Run a command on one core (None: on all); return what it printed. Raises TurnFailed."""
        pinned = [] if core is None else ["taskset", "-c", str(core % (os.cpu_count() or 1))]
        done = subprocess.run(
            [*pinned, *command],
            capture_output=True,
            text=True,
            timeout=TURN_SECONDS,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        if done.returncode != 0:
            raise TurnFailed(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout
