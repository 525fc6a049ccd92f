"""A backup of large files takes no more memory than one of small files: on none of the two sides, nor when it is restored."""

import os
import subprocess
import sys
from pathlib import Path

import aiohttp

from samples.serving import environment, serving

from .service import Api, memory_of, write_config

BYTES = int(os.environ.get("BACKUP_BYTES", str(100 * 2**20)))
MIB = 2**20


def peak_of(*arguments: str | Path) -> int:
    """Run a command to its good end, and return its peak resident memory in bytes."""
    command = [sys.executable, "-m", "consignee", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(coverage=False))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


async def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    """`BACKUP_BYTES` says how large the file is."""
    old, new = write_config(tmp_path / "old"), write_config(tmp_path / "new")
    (tmp_path / "large.bin").touch()
    os.truncate(tmp_path / "large.bin", BYTES)
    with serving(old, coverage=False) as server:
        async with aiohttp.ClientSession() as session:
            collection = await Api(session, server.url).collection("C", [])
            small = peak_of("backup", tmp_path / "small.tar", "--config", old)
            with (tmp_path / "large.bin").open("rb") as content:
                form = aiohttp.FormData()
                form.add_field("file", content, filename="large.bin", content_type="application/octet-stream")
                results, headers = f"{server.url}/collections/{collection}/results", {"X-API-Key": Api(session, "").key}
                async with session.post(results, data=form, headers=headers, timeout=None) as response:
                    assert response.status == 200
        before = memory_of(server.process.pid)
        large = peak_of("backup", tmp_path / "large.tar", "--config", old)
        grown = memory_of(server.process.pid) - before
        assert server.stop() == 0
    restored = peak_of("restore", tmp_path / "large.tar", "--config", new)
    assert (tmp_path / "large.tar").stat().st_size > BYTES
    assert max(grown, large - small) < 30 * MIB
    assert restored < large + 30 * MIB
    print(  # noqa: T201
        f"backup of {BYTES / MIB:.0f} MiB: the server's peak grew by {grown / MIB:.1f} MiB; the command's is "
        f"{large / MIB:.0f} MiB, {small / MIB:.0f} MiB without files; that of restore {restored / MIB:.0f} MiB"
    )
