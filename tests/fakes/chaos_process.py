"""The S3 server of the chaos tests in a process of its own, and talking to it."""

import itertools
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fakes.chaos_state import Stored

TESTS = Path(__file__).parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class State:
    """What the server has and has seen.

    `objects` are by `bucket/key`; `uploads` the unfinished ones, each with id, name and the numbers of its parts. Since
    it was last started: requests by operation, answers by status, faults by kind, and by bucket how many requests are
    under way and were so at most.
    """

    objects: Mapping[str, Stored]
    uploads: Sequence[Mapping[str, Any]]
    requests: Mapping[str, int]
    answers: Mapping[str, int]
    faults: Mapping[str, int]
    busy: Mapping[str, int]
    most_at_once: Mapping[str, int]

    @property
    def repeated(self) -> int:
        """How many uploads stored an object that was there already."""
        return sum(stored.puts - 1 for stored in self.objects.values())


class ChaosServer:
    """A server that runs between `start` and `kill` or `stop`, as often as one likes, on one port and with one memory."""

    def __init__(self, arguments: Sequence[str], *, key_id: str, secret: str, region: str, seed: int = 0) -> None:
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self.key_id = key_id
        self.secret = secret
        self.region = region
        self.url = ""
        self._seeds = itertools.count(seed)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had before, with the faults it was made with and the next seed.

        Raises RuntimeError if it does not come up.
        """
        port = urlsplit(self.url).port or 0
        command = [sys.executable, "-m", "fakes.chaos", f"--port={port}", f"--seed={next(self._seeds)}"]
        command += ["--until-eof", *self._arguments]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        if not (url := self._line()):
            self.kill()
            raise RuntimeError("the chaos server did not come up")
        self.url = url

    def kill(self) -> None:
        """End it as kill -9 does, and wait until it has ended."""
        if self._process:
            self._process.kill()
            self._end(self._process)

    def stop(self) -> None:
        """Ask it to end, and wait until it has; may be called twice."""
        if self._process:
            self._process.terminate()
            self._end(self._process)

    def state(self) -> State:
        """Return what it has and has seen."""
        values = json.loads(self._call("GET", "state"))
        objects = {name: Stored(*stored) for name, stored in values.pop("objects").items()}
        return State(objects, **values)

    def set_faults(self, *, bucket: str | None = None, **faults: Any) -> None:
        """Replace the faults of all buckets, or those that one has besides; see chaos_faults.Faults. Without any: none."""
        self._call("POST", "faults", json.dumps({"bucket": bucket, "faults": faults}).encode())

    def content(self, name: str) -> bytes:
        """Return the kept content of `bucket/key`."""
        return self._call("GET", f"content/{quote(name)}")

    def _call(self, method: str, what: str, body: bytes | None = None) -> bytes:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=_START_SECONDS)
        try:
            connection.request(method, f"/_control/{what}", body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer.decode())
        return answer

    def _line(self) -> str:
        assert self._process and self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline().decode().strip() if selector.select(_START_SECONDS) else ""

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


@contextmanager
def chaos_process(
    *buckets: str,
    key_id: str = "chaos",
    secret: str = "chaos-secret",
    region: str = "us-east-1",
    faults: Mapping[str, Any] | None = None,
    seed: int = 0,
    min_part: int = 5 * 1024**2,
    keep: bool = False,
    port: int = 0,
    directory: Path | None = None,
) -> Iterator[ChaosServer]:
    """Run the server; `buckets` are names, or patterns such as `bucket-*`. What it has on disk goes in the end."""
    arguments = [f"--bucket={bucket}" for bucket in buckets]
    arguments += [f"--key={key_id}={secret}", f"--region={region}", f"--min-part={min_part}"]
    arguments += [f"--faults={json.dumps(faults or {})}", *(["--keep"] if keep else [])]
    with tempfile.TemporaryDirectory(prefix="consignee-chaos-", dir=directory) as place:
        arguments.append(f"--dir={place}")
        server = ChaosServer(arguments, key_id=key_id, secret=secret, region=region, seed=seed)
        server.url = f"http://127.0.0.1:{port}" if port else ""
        try:
            server.start()
            yield server
        finally:
            server.stop()
