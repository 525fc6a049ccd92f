"""Azurite, Microsoft's own emulator of Azure Blob Storage: installing, starting and stopping it, and looking into it.

It checks account keys and signatures as Azure does. Blobs are kept in memory; the process ends with this one.
"""

import asyncio
import base64
import fcntl
import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from consignee.demo.storage import START_SECONDS, Program, Reply
from consignee.errors import ConsigneeError

INSTALL_SECONDS: Final = 600.0
_API_VERSION: Final = "2021-12-02"
_MAIN: Final = "node_modules/azurite/dist/src/blob/main.js"
_STDERR_TAIL: Final = 1000
_INSTALL: Final = (
    *("npm", "install", "azurite@^3", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),
)
_OPTIONS: Final = (
    *("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobHost=127.0.0.1", "--blobPort=0"),
)
_IN_MEMORY: Final = ("--inMemoryPersistence", "--extentMemoryLimit=512")

# Azurite says on which port it listens in a sentence, and does not care whether its parent lives.
_WRAPPER: Final = """
console.log = (text) => {
  const found = /successfully listens on (\\S+)/.exec(text);
  if (found) process.stdout.write(JSON.stringify({ url: found[1] }) + "\\n");
};
process.stdin.resume().on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
require(process.argv[1]);
"""


@dataclass(frozen=True)
class AzuriteServer:
    """A running Azurite. An account's blobs are below `url/account`; `accounts` has their keys, in base64."""

    url: str
    accounts: Mapping[str, str] = field(repr=False)
    certificate: Path | None = None

    async def create_container(self, account: str, name: str) -> None:
        """Create the container; raises ConsigneeError if the server refuses."""
        await asyncio.to_thread(self.checked, account, "PUT", f"/{name}", query={"restype": "container"})

    async def blobs(self, account: str, container: str) -> list[str]:
        """Return the names of all blobs in the container, sorted; raises ConsigneeError if the server refuses."""
        return await asyncio.to_thread(lambda: sorted(self._blobs(account, container)))

    async def read(self, account: str, container: str, blob: str) -> bytes:
        """Return the blob's bytes; raises ConsigneeError if there is none."""
        reply = await asyncio.to_thread(self.checked, account, "GET", f"/{container}/{blob}")
        return reply.body

    def checked(self, account: str, method: str, path: str, *, query: Mapping[str, str] | None = None) -> Reply:
        """As `request`, but raises ConsigneeError unless the status is 2xx."""
        reply = self.request(account, method, path, query=query)
        if reply.status >= 300:
            raise ConsigneeError(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}")
        return reply

    def request(self, account: str, method: str, path: str, *, query: Mapping[str, str] | None = None) -> Reply:
        """Send one request without a body, signed, blocking; `path` is `/container` or `/container/blob`, unescaped."""
        place = quote(f"/{account}{path}")
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _API_VERSION}
        headers["Authorization"] = self._authorization(account, method, place, query or {}, headers)
        connection = self._connection()
        try:
            connection.request(method, f"{place}?{urlencode(query)}" if query else place, headers=headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        address = urlsplit(self.url).netloc
        if self.certificate is None:
            return HTTPConnection(address, timeout=START_SECONDS)
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate is trusted as such
        return HTTPSConnection(address, timeout=START_SECONDS, context=context)

    def _authorization(
        self, account: str, method: str, place: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> str:
        """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
        named = [f"{name}:{value}" for name, value in sorted(headers.items())]
        asked = [f"{name}:{value}" for name, value in sorted(query.items())]
        text = "\n".join([method, *[""] * 11, *named, f"/{account}{place}", *asked])
        digest = hmac.digest(base64.b64decode(self.accounts[account]), text.encode(), hashlib.sha256)
        return f"SharedKey {account}:{base64.b64encode(digest).decode()}"

    def _blobs(self, account: str, container: str) -> Iterator[str]:
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list"} | ({"marker": marker} if marker else {})
            root = ET.fromstring(self.checked(account, "GET", f"/{container}", query=query).body)  # noqa: S314
            yield from (element.text or "" for element in root.iterfind("Blobs/Blob/Name"))
            marker = root.findtext("NextMarker") or ""
            if not marker:
                return


class _Azurite(Program):
    def ready(self, *, seconds: float = START_SECONDS) -> dict[str, Any]:
        if line := self._line(seconds):
            ready: dict[str, Any] = json.loads(line)
            return ready
        self._end()
        raise ConsigneeError(f"Azurite did not come up within {seconds:g} s; it said: {self._said() or '-'}")


def install(directory: Path, *, seconds: float = INSTALL_SECONDS) -> Path:
    """Install Azurite there unless it is, and return its program; raises ConsigneeError, saying what is missing.

    It takes 190 MB and, the first time, some 20 s. Whoever comes meanwhile waits.
    """
    _require("node")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / _MAIN).is_file():
            _require("npm")
            _install(directory, seconds)
    return directory / _MAIN


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise ConsigneeError(f"Azurite needs Node.js, and {program} is not installed")


def _install(directory: Path, seconds: float) -> None:
    partial = directory.with_name(f"{directory.name}.partial")
    for left in (partial, directory):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        _npm(partial, seconds)
        partial.rename(directory)  # only what is whole gets the name
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _npm(directory: Path, seconds: float) -> None:
    command = [*_INSTALL, f"--prefix={directory.absolute()}"]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=seconds, cwd=directory)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ConsigneeError(f"npm could not install azurite within {seconds:g} s") from None
    if ended.returncode or not (directory / _MAIN).is_file():
        raise ConsigneeError(f"npm could not install azurite: {ended.stderr[-_STDERR_TAIL:].decode(errors='replace')}")


@contextmanager
def azurite_process(
    accounts: Mapping[str, str],
    *,
    directory: Path,
    certificate: tuple[Path, Path] | None = None,
    location: Path | None = None,
    seconds: float = START_SECONDS,
) -> Iterator[AzuriteServer]:
    """As `running_azurite`, but blocking: for a caller without an event loop."""
    program = _Azurite(_command(accounts, install(directory), certificate, location))
    try:
        yield _server(program.ready(seconds=seconds), accounts, certificate)
    finally:
        program.stop()


@asynccontextmanager
async def running_azurite(
    accounts: Mapping[str, str],
    *,
    directory: Path,
    certificate: tuple[Path, Path] | None = None,
    location: Path | None = None,
    seconds: float = START_SECONDS,
) -> AsyncIterator[AzuriteServer]:
    """Run Azurite, installed in `directory`; `accounts` are names and keys, the keys in base64.

    `certificate` is the PEM file of the chain and that of the key: the server then speaks https, and only that.
    The blobs are kept in memory, up to 512 MB in all, or in the directory `location`.
    Raises ConsigneeError if Node.js is absent, Azurite can't be installed, or it is not ready after `seconds`.
    """
    program = _Azurite(_command(accounts, await asyncio.to_thread(install, directory), certificate, location))
    try:
        yield _server(await asyncio.to_thread(program.ready, seconds=seconds), accounts, certificate)
    finally:
        await asyncio.to_thread(program.stop)


def _server(
    ready: Mapping[str, Any], accounts: Mapping[str, str], certificate: tuple[Path, Path] | None
) -> AzuriteServer:
    return AzuriteServer(ready["url"], accounts, certificate[0] if certificate else None)


def _command(
    accounts: Mapping[str, str],
    main: Path,
    certificate: tuple[Path, Path] | None,
    location: Path | None = None,
) -> Sequence[str]:
    keys = ";".join(f"{name}:{key}" for name, key in accounts.items())
    # AZURITE_DB would make it keep its blobs in somebody's database, NODE_OPTIONS is for other programs.
    cleaned = ("env", "-u", "AZURITE_DB", "-u", "NODE_OPTIONS", f"AZURITE_ACCOUNTS={keys}")
    tls = (f"--cert={certificate[0]}", f"--key={certificate[1]}") if certificate else ()
    kept = _IN_MEMORY if location is None else (f"--location={location}",)
    return [*cleaned, "node", "-e", _WRAPPER, str(main.absolute()), *_OPTIONS, *kept, *tls]
