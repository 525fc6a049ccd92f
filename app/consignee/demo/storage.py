"""Starting and stopping the demonstration's S3 server, and looking into it.

Nothing of swift is imported here: it runs in a process of its own, which ends with this one.
"""

import asyncio
import json
import selectors
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

from consignee.demo.swift import EXIT_NOT_INSTALLED
from consignee.errors import ConsigneeError

START_SECONDS: Final = 60.0
_STDERR_TAIL: Final = 2000


@dataclass(frozen=True)
class Reply:
    """What the server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class StorageServer:
    """A running S3 server. The access key of a user is its name, `account:user`; `users` has the secrets."""

    url: str
    tls_url: str | None
    region: str
    users: Mapping[str, str] = field(repr=False)

    async def create_bucket(self, user: str, name: str) -> None:
        """Create the bucket; raises ConsigneeError if the server refuses."""
        await asyncio.to_thread(self.checked, user, "PUT", f"/{name}")

    async def keys(self, user: str, bucket: str) -> list[str]:
        """Return all keys in the bucket, sorted; raises ConsigneeError if the server refuses."""
        return await asyncio.to_thread(lambda: list(self._keys(user, bucket)))

    async def read(self, user: str, bucket: str, key: str) -> bytes:
        """Return the object's bytes; raises ConsigneeError if there is none."""
        reply = await asyncio.to_thread(self.checked, user, "GET", f"/{bucket}/{key}")
        return reply.body

    def checked(self, user: str, method: str, path: str, **options: Any) -> Reply:
        """As `request`, but raises ConsigneeError unless the status is 2xx."""
        reply = self.request(user, method, path, **options)
        if reply.status >= 300:
            raise ConsigneeError(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}")
        return reply

    def request(
        self, user: str, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Send one signed request, blocking; `path` is `/bucket/key`, not escaped."""
        target = quote(path) + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = self._signed(user, method, self.url + target, body)
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=START_SECONDS)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def _signed(self, user: str, method: str, url: str, body: bytes) -> dict[str, str]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method, url, data=body)
        S3SigV4Auth(Credentials(user, self.users[user]), "s3", self.region).add_auth(request)
        return dict(request.headers.items())

    def _keys(self, user: str, bucket: str) -> Iterator[str]:
        marker = ""
        while True:
            query = {"marker": marker, "encoding-type": "url"}
            root = ET.fromstring(self.checked(user, "GET", f"/{bucket}", query=query).body)  # noqa: S314
            page = [unquote(element.text or "") for element in root.iterfind("{*}Contents/{*}Key")]
            yield from page
            if not page or root.findtext("{*}IsTruncated") != "true":
                return
            marker = page[-1]


class Program:
    """A server program that prints one line of JSON when it is ready, and ends with its standard input.

    Asked to end, it is given `patience` seconds, then killed.
    """

    def __init__(self, command: Sequence[str], *, patience: float = 10.0) -> None:
        self._patience = patience
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def ready(self, *, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait for the line and return what it says; raises ConsigneeError if it does not come in time."""
        if line := self._line(seconds):
            ready: dict[str, Any] = json.loads(line)
            return ready
        self._end()
        if self._process.returncode == EXIT_NOT_INSTALLED:
            raise ConsigneeError("the demo needs: pip install 'consignee[test]'")
        tail = self._said()
        raise ConsigneeError(f"the demo's S3 server did not come up within {seconds:g} s; it said: {tail or '-'}")

    def _line(self, seconds: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return b""
        if not (line := stdout.readline()):
            self._wait()  # it is about to end: its own status says why
        return line

    def _said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-_STDERR_TAIL:].decode(errors="replace").strip()

    def stop(self) -> None:
        """End it, and wait until it has; may be called twice."""
        self._end()
        for file in (self._process.stdin, self._process.stdout, self._stderr):
            if file is not None:
                file.close()

    def _end(self) -> None:
        self._process.terminate()
        if not self._wait():
            self._process.kill()
            self._process.wait()

    def _wait(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._patience)
        return self._process.returncode is not None


@contextmanager
def storage_process(users: Mapping[str, str], **options: Any) -> Iterator[StorageServer]:
    """As `running_storage`, but blocking: for a caller without an event loop."""
    with _program(_command(users, **options)) as program:
        try:
            yield StorageServer(**program.ready(), users=users)
        finally:
            program.stop()


@asynccontextmanager
async def running_storage(
    users: Mapping[str, str],
    *,
    nodelete: Iterable[str] = (),
    region: str = "us-east-1",
    certificate: tuple[Path, Path] | None = None,
    seconds: float = START_SECONDS,
) -> AsyncIterator[StorageServer]:
    """Run the server; `users` are `account:user` and secret, `nodelete` those who may put but not delete.

    `certificate` is the PEM file of the chain and that of the key: the server then speaks https as well.
    Raises ConsigneeError if swift is not installed, or the server is not ready after `seconds`.
    """
    command = _command(users, nodelete=nodelete, region=region, certificate=certificate)
    with _program(command) as program:
        try:
            yield StorageServer(**await asyncio.to_thread(program.ready, seconds=seconds), users=users)
        finally:
            await asyncio.to_thread(program.stop)


@contextmanager
def _program(command: Sequence[str]) -> Iterator[Program]:
    # The server removes the directory even if this process was killed; this process, even if the server was.
    with tempfile.TemporaryDirectory(prefix="consignee-", ignore_cleanup_errors=True) as directory:
        yield Program([*command, "--dir", directory])


def _command(
    users: Mapping[str, str],
    *,
    nodelete: Iterable[str] = (),
    region: str = "us-east-1",
    certificate: tuple[Path, Path] | None = None,
) -> list[str]:
    command = [sys.executable, "-P", "-m", "consignee.demo.swift", "--until-eof", "--region", region]
    command += [f"--user={name}={secret}" for name, secret in users.items()]
    command += [f"--nodelete={name}" for name in nodelete]
    if certificate is not None:
        command += ["--tls-port=0", f"--cert={certificate[0]}", f"--key={certificate[1]}"]
    return command
