"""The tutorial is done as a reader does it: each of its blocks in one shell, one after the other."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from canaries import COMPATIBLE_SECRET
from consignee.demo.storage import StorageServer
from pages import BLOCKS, differences

PAGE = "docs/tutorial.md"
STEPS = [(language, code) for page, language, code in BLOCKS if page == PAGE]
ELSEWHERE = "make demo\n"
"""What another test does: tests/demo."""
END = re.compile(r"--(\d+)--\n")


class Shell:
    """One bash, which runs block after block."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.words: dict[str, str] = {}
        """What is different here from what the page says."""

    def here(self, text: str) -> str:
        """Return a text of the page with what is different here."""
        for told, real in self.words.items():
            text = text.replace(told, real)
        return text

    async def run(self, code: str) -> str:
        """Return what a block prints; raises AssertionError if its last command fails."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{self.here(code)}\n_status=$?; echo; echo "--$_status--"\n'.encode())
        lines = [line async for line in self._lines()]
        assert lines.pop() == "--0--\n", code
        return "".join(lines)

    async def _lines(self) -> AsyncIterator[str]:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while line := (await self._process.stdout.readline()).decode():
                yield line
                if END.fullmatch(line):
                    return


@pytest.fixture
async def shell(tmp_path: Path, swift: StorageServer) -> AsyncIterator[Shell]:
    """A shell in an empty directory, in which the demo's storage is a storage of the tests."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "no_proxy": "*"}
    process = await asyncio.create_subprocess_exec(
        "bash", cwd=tmp_path, env=environ, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    found = Shell(process)
    found.words = {
        "http://127.0.0.1:42133": swift.url,
        "demo:writer": "test:tester",
        "a+secret/of+the+demo": COMPATIBLE_SECRET,
        "2> serve.log &": "--port 0 > address 2> serve.log &\nuntil grep -q http address; do sleep 0.05; done",
        "API=http://127.0.0.1:8080": "API=$(grep -o 'http://[^ ]*' address)",
        "mkdir tutorial\n": f"mkdir tutorial\ncat > tutorial/consignee.toml <<'END'\n{configuration()}END\n",
        "{n}": "1",
    }
    yield found
    assert process.stdin is not None
    process.stdin.write(b"kill $(jobs -p) 2>/dev/null; wait\n")
    process.stdin.close()
    await process.wait()


def configuration() -> str:
    """Return the settings that the reader writes."""
    (code,) = [code for language, code in STEPS if language == "toml"]
    return code


async def test_every_step_of_the_tutorial_does_what_it_says(shell: Shell, swift: StorageServer) -> None:
    """What is answered in it is what is answered; in the end the files are in the bucket."""
    after = [*STEPS[1:], ("", "")]
    for (language, code), (next_language, told) in zip(STEPS, after, strict=True):
        if language != "sh" or code == ELSEWHERE:
            continue
        printed = await shell.run(code)
        if next_language == "json":
            await compare(shell, code, json.loads(told), printed)
    assert await shell.run("wait; cat tutorial/serve.log | grep -ic error || true") == "0\n\n"
    keys = [key for key in await swift.keys("test:tester", "demo-bucket") if key.startswith("exports/Daily figures/")]
    assert {key.split("/")[-2:] == [number, "visits.csv"] for key, number in zip(sorted(keys), "12", strict=True)} == {
        True
    }


async def compare(shell: Shell, code: str, told: dict[str, object], printed: str) -> None:
    """Hold an answer to what the page says; what is still under way is asked for again."""
    async with asyncio.timeout(20):
        while "files_total" in printed and '"status":"success"' not in printed:
            await asyncio.sleep(0.02)
            printed = await shell.run(code)
    real = json.loads(printed)
    for name in {"destination", "collection"} & told.keys() & real.keys():
        shell.words[told[name]["id"]] = real[name]["id"]  # type: ignore[index]
    told = json.loads(shell.here(json.dumps(told)))
    assert differences(told, real) == []


def test_no_block_of_the_tutorial_is_left_out() -> None:
    assert {language for language, _ in STEPS} == {"sh", "toml", "json"}
    assert next(code for language, code in STEPS if language == "sh") == ELSEWHERE
