"""A PostgreSQL server of the tests' own: in a temporary directory, as an unprivileged user, and gone with who started it."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from consignee.secret import Secret

BINARIES: Final = Path("/usr/lib/postgresql/15/bin")
PASSWORD: Final = "pg+canary/" + secrets.token_hex(8)
"""What must never be told: of the role that the service logs in as."""
ROLE: Final = "consignee"
PATIENCE: Final = 30.0
"""Seconds that a server gets to start or to stop."""
_STARTER: Final = ThreadPoolExecutor(1)
_FAST: Final = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "log_min_messages": "warning",
}


def as_nobody(*options: str) -> list[str]:
    """Return what to put before a command so that it runs as an unprivileged user, for PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return ["setpriv", *options]
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *options]


def make_directory(prefix: str) -> Path:
    """Return a new temporary directory that the unprivileged user owns."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return directory


def free_port() -> int:
    """Return a port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """One server with its data in `directory`, which is the unprivileged user's.

    `start`, then `prepare` once. `settings` are the server's own, such as `{"fsync": "on"}`.
    """

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self.port = free_port()
        self.settings = {**_FAST, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the files of a new server, whose superuser `postgres` is let in through its socket alone."""
        options = ["--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"]
        self._run("initdb", "--pgdata", str(self.data), "--locale=C.UTF-8", "--no-sync", "--no-instructions", *options)

    def prepare(self) -> None:
        """Make the role that the service logs in as."""
        self.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start the server, and return when it answers."""
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.directory)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            # It ends with us, however we end; that is, with the thread that started it.
            command = [*as_nobody("--pdeathsig=QUIT"), str(BINARIES / "postgres"), "-D", str(self.data), *options]
            self._process = _STARTER.submit(_started, command, log).result()
        self._await_ready(self._process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # One that was killed has left the file behind.
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() in ("ready", "standby")

    @property
    def pid(self) -> int:
        """The process of the server that started all others of it."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGTERM waits for its clients, SIGINT does not, SIGQUIT leaves the rest to the next start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        """End all of the server as a power cut would; `start` recovers it."""
        if self._process is not None:
            children = _children(self._process.pid)
            for pid in (self._process.pid, *children):
                _kill(pid)
            self._process.wait(PATIENCE)
            self._process = None
            _await_gone(children)

    def sql(self, text: str, *, database: str = "postgres") -> str:
        """Run statements as the superuser, each in a transaction of its own; return what psql prints, without decoration."""
        options = ["-h", str(self.directory), "-p", str(self.port), "-U", "postgres", "-d", database]
        return self._run("psql", *options, "-qAtX", "-v", "ON_ERROR_STOP=1", given=text).strip()

    def create(self, name: str, *, template: str = "template0") -> Secret:
        """Make a database that is the role's, and return its URL."""
        self.sql(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}")
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str, *, port: int | None = None) -> Secret:
        """Return the URL of a database for the service, also through what listens at another port."""
        return Secret(f"postgresql://{ROLE}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port or self.port}/{name}")

    def _run(self, program: str, *arguments: str, given: str = "") -> str:
        command: Sequence[str] = [*as_nobody(), str(BINARIES / program), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stderr}")
        return done.stdout


def _started(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _await_gone(pids: Sequence[int]) -> None:
    """Wait for processes that are not our children: as long as one lives, the next server does not start."""
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}/stat").exists() and not _is_zombie(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise RuntimeError("a process of PostgreSQL does not end")
        time.sleep(0.01)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@contextmanager
def running(*, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Start a new server, and remove it in the end."""
    directory = make_directory("consignee-pg-")
    cluster = Cluster(directory, settings=settings)
    try:
        cluster.initialise()
        cluster.start()
        cluster.prepare()
        yield cluster
    finally:
        cluster.stop(signal.SIGQUIT)
        shutil.rmtree(directory)
