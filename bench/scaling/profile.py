"""Where the time of one of our processes goes: by package, as py-spy samples it from outside."""

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SAMPLES_A_SECOND: Final = 200
FRAME: Final = re.compile(r"\(([^():]+?)(?::\d+)?\)")


def package_of(stack: str) -> str:
    """Return in whose code the innermost frame of a stack is: a package's, or a room's of ours."""
    files = FRAME.findall(stack)
    parts = Path(files[-1]).parts if files else ("?",)
    if "consignee" in parts[:-1]:
        return "consignee: " + parts[parts.index("consignee") + 1].removesuffix(".py")
    return parts[0].removesuffix(".py") if len(parts) == 1 else parts[0]


def shares(text: str) -> Mapping[str, float]:
    """Return the share of each package, from lines of a stack and how often it was seen."""
    seen: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        seen[package_of(stack)] += int(count)
    return {name: count / seen.total() for name, count in seen.most_common()}


async def profiled(pid: int, seconds: float) -> Mapping[str, float]:
    """Watch a process for so long; empty where that is not allowed."""
    with tempfile.TemporaryDirectory() as home:
        found = Path(home) / "stacks"
        options = ["--format", "raw", "--rate", str(SAMPLES_A_SECOND), "--duration", str(max(1, round(seconds)))]
        command = [
            str(Path(sys.executable).parent / "py-spy"),
            "record",
            *options,
            "--output",
            str(found),
            "--pid",
            str(pid),
        ]
        nothing = asyncio.subprocess.DEVNULL
        watching = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=nothing, stderr=nothing)
        await watching.wait()
        return shares(found.read_text()) if found.exists() else {}
