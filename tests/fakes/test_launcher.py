"""How the S3 server is started, and that nothing of it stays."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from canaries import COMPATIBLE_SECRET
from consignee.demo.storage import Program, StorageServer, running_storage
from consignee.errors import ConsigneeError

USERS = {"demo:demo": "a%b+c/d=e$!"}
PARENT = """
import sys, time
from consignee.demo.storage import storage_process
with storage_process({"demo:demo": "secret"}) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files of the programs that the test starts, and of the test itself."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def test_it_runs_while_it_is_needed_and_leaves_nothing(temporary: Path) -> None:
    """Any printable secret will do. Afterwards nobody listens at the port, and no file is left."""
    async with running_storage(USERS, region="auto") as server:
        assert server.region == "auto"
        assert server.tls_url is None
        await server.create_bucket("demo:demo", "bucket")
        assert await server.keys("demo:demo", "bucket") == []
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert left(temporary) == []


def test_its_secrets_are_not_shown(swift: StorageServer) -> None:
    assert [secret for secret in swift.users.values() if secret in repr(swift)] == []
    assert swift.users["test:tester"] == COMPATIBLE_SECRET


def test_it_ends_with_its_parent_even_if_that_is_killed(temporary: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"http://127.0.0.1:")
        with ExitStack() as watched:
            children = [watched.enter_context(_Watched(child)) for child in _children(parent.pid)]
            assert len(children) == 1
            parent.kill()
            assert all(child.ended(within=30) for child in children)
    assert left(temporary) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(temporary: Path, number: signal.Signals) -> None:
    """Started by hand it keeps its files in a temporary directory, and removes them."""
    command = [sys.executable, "-m", "consignee.demo.swift", "--user", "demo:demo=secret"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b'"url": "http://127.0.0.1:' in process.stdout.readline()
        assert len(left(temporary)) == 1
        process.send_signal(number)
        assert process.wait(30) == 0
    assert left(temporary) == []


async def test_without_swift_it_says_what_to_install(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = temporary / "path" / "swift"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('no swift here')")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    with pytest.raises(ConsigneeError, match=r"the demo needs: pip install 'consignee\[test\]'"):
        async with running_storage(USERS):
            pass
    assert left(temporary) == ["path"]


async def test_what_it_says_when_it_fails_is_shown(temporary: Path) -> None:
    with pytest.raises(ConsigneeError, match="No such file or directory"):
        async with running_storage(USERS, certificate=(temporary / "no.pem", temporary / "no.key")):
            pass
    assert left(temporary) == []


async def test_too_slow_a_start_is_given_up(temporary: Path) -> None:
    with pytest.raises(ConsigneeError, match="did not come up within 0 s"):
        async with running_storage(USERS, seconds=0):
            pass
    assert left(temporary) == []


async def test_a_cancelled_start_leaves_nothing(temporary: Path) -> None:
    async def start() -> None:
        async with running_storage(USERS):
            pytest.fail("cancelled before it could be ready")

    task = asyncio.create_task(start())
    await asyncio.sleep(0)
    assert len(left(temporary)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(temporary) == []


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ([], b"--user"),
        (["--user=demo=x"], b"--user"),
        (["--user=a:b="], b"--user"),
        (["--user=a:b=c d"], b"--user"),
        (["--user=a:b=c", "--tls-port=0"], b"--tls-port"),
        (["--user=a:b=c", "--dir=/"], b"--dir"),
        (["--user=a:b=c", "--dir=/no/such/directory"], b"--dir"),
    ],
)
def test_wrong_options_are_refused(options: list[str], wrong: bytes) -> None:
    """Above all a directory that holds anything, as it would be removed at the end."""
    command = [sys.executable, "-m", "consignee.demo.swift", *options]
    ended = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert ended.returncode == 2
    assert wrong in ended.stderr.rpartition(b"error: ")[2]


def test_a_program_that_ignores_the_request_to_end_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('{}', flush=True); time.sleep(600)"
    program = Program([sys.executable, "-c", code], patience=0.2)
    assert program.ready() == {}
    program.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(program.pid, 0)


def left(directory: Path) -> list[str]:
    """Return the names of what is in the directory."""
    return [path.name for path in directory.iterdir()]


class _Watched:
    """A process that is no child of ours; its end can still be seen."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def ended(self, *, within: float) -> bool:
        """Wait for its end; return whether it came within so many seconds."""
        return bool(select.select([self._descriptor], [], [], within)[0])


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
