"""A crash leaves no memory behind: neither as a file nor in the hands of a program that collects core dumps."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from samples.serving import environment, serving, write_config

NOBODY = 65534
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and PR_SET_DUMPABLE are Linux's")


def allow_core_dumps() -> None:
    """Let the process that is about to begin leave as large a core file as it may."""
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def crashed(program: str, directory: Path) -> int:
    """Return the whole wait status of a program that runs in `directory`, free to leave a core file there."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=directory,
        env=environment(coverage=False),
        preexec_fn=allow_core_dumps,
        stderr=subprocess.DEVNULL,
    )
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = os.waitstatus_to_exitcode(status)
    return status


def leaves_core_files() -> bool:
    """Return whether this machine writes them into the directory of the process that crashed."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    return resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY and pattern.startswith("core")


def test_a_crash_of_any_command_leaves_no_core_dump(tmp_path: Path) -> None:
    """The same crash without the precaution does, wherever this machine lets it: so the check can fail."""
    crash = "import os; os.abort()"
    guarded = f"from consignee.hardening import forbid_core_dumps; forbid_core_dumps(); {crash}"
    status = crashed(guarded, tmp_path)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "unguarded").mkdir()
    unguarded = crashed(crash, tmp_path / "unguarded")
    if leaves_core_files():
        assert os.WCOREDUMP(unguarded)
        assert [path.name for path in (tmp_path / "unguarded").iterdir()] != []


def test_the_limit_alone_would_not_do(tmp_path: Path) -> None:
    """Also without the limit nothing is dumped: a program in core_pattern is started whatever the limit is (core(5))."""
    program = (
        "import os, resource; from consignee.hardening import forbid_core_dumps\n"
        "resource.setrlimit = lambda *_: None\n"
        "forbid_core_dumps(); os.abort()"
    )
    assert not os.WCOREDUMP(crashed(program, tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_crashes_leaves_no_core_dump(tmp_path: Path) -> None:
    config = write_config(tmp_path, accounts={"ann": "key-a"})
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with serving(config, coverage=False) as server:
            (limit,) = (
                line.split()[4:6]
                for line in Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
                if line.startswith("Max core file size")
            )
            assert limit == ["0", "0"]
            os.kill(server.process.pid, signal.SIGABRT)
            status = os.waitpid(server.process.pid, 0)[1]
            server.process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    found = [*tmp_path.rglob("core*"), *Path.cwd().glob("core*")]
    assert [path for path in found if path.stat().st_mtime >= config.stat().st_mtime] == []


def test_an_undumpable_process_still_reaches_a_socket_under_a_long_path() -> None:
    """It goes by way of /proc/self/fd, which then belongs to root: also for others than root it must stay open."""
    program = (
        "import os; from consignee.hardening import forbid_core_dumps\n"
        f"if os.geteuid() == 0: os.setuid({NOBODY})\n"
        "forbid_core_dumps()\n"
        "fd = os.open('/', os.O_RDONLY | os.O_DIRECTORY); print(os.listdir(f'/proc/self/fd/{fd}/proc/self') != [])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment(coverage=False)
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
