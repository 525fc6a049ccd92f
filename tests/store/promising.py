"""Promises one thing that must survive a power cut, says so, and waits for the cut.

It is started by `python -m store.promising SCENE DIRECTORY [COPY]`. The package that it runs may lack a sync;
`kept_promise` tells after the cut whether that was seen.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from consignee.delivery.spool import Spool
from consignee.errors import StoreError
from consignee.store.json_file import JsonFileStore
from delivery.spooling import arriving, kept, opened
from store.strict_disk import StrictDisk

KIND: Final = "result_sets"
FILES: Final = {"0": b"small", "1": b"content" * 9000, "2": b"x"}


async def first(directory: Path) -> None:
    """The first document of a new store."""
    store = await _store(directory)
    await store.save(KIND, "a", "1", {"n": 1})


async def change(directory: Path) -> None:
    """A change of a document that is on the disk."""
    store = await _store(directory)
    await store.save(KIND, "a", "1", {"n": 1})
    os.sync()
    await store.save(KIND, "a", "1", {"n": 2}, replaces=1)


async def compaction(directory: Path) -> None:
    """All that was saved before a compaction, and after it."""
    store = await _store(directory, compact_above=2000)
    for n in range(60):
        await store.save(KIND, "a", "1", {"n": n, "filler": "x" * 50}, replaces=n)
    await store.save(KIND, "a", "2", {"n": 60})


async def failure(directory: Path) -> None:
    """That nothing is there of saves that failed, though the system had written it before it was cut off again."""
    store = await _store(directory)
    await store.save(KIND, "a", "1", {"n": 1})
    _before_each("ftruncate", os.sync)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((directory / f"{KIND}.jsonl").stat().st_size + 200, hard))
    group = [store.save("other", "a", "1", {}), *(store.save(KIND, "a", str(n), {"t": "x" * n}) for n in (2, 300))]
    ends = await asyncio.gather(*group, return_exceptions=True)
    assert [isinstance(end, StoreError) for end in ends] == [False, True, True]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def kept_set(directory: Path) -> None:
    """The files of a result set."""
    spool = await opened(directory)
    await kept(spool, FILES.items())


async def late_set(directory: Path) -> None:
    """The files of a result set whose beginning the system had written out before it was kept."""
    spool = await opened(directory)
    async with spool.intake() as intake:
        for name, content in FILES.items():
            await intake.add(name, arriving(content))
        os.sync()
        await intake.keep()


async def removed_set(directory: Path) -> None:
    """That a set of files is gone."""
    spool = await opened(directory)
    token, _ = await kept(spool, FILES.items())
    os.sync()
    await spool.remove(token)


async def _store(directory: Path, *, compact_above: int = 1 << 20) -> JsonFileStore:
    store = JsonFileStore(directory, compact_above=compact_above)
    await store.open()
    return store


def _before_each(call: str, do: Callable[[], None]) -> None:
    original = getattr(os, call)

    def called(*arguments: int) -> None:
        do()
        original(*arguments)

    setattr(os, call, called)


async def _documents(directory: Path) -> Mapping[str, int]:
    store = await _store(directory)
    try:
        return {document.id: document.data.get("n", 0) for document in await store.list(KIND, "a")}
    finally:
        await store.close()


async def _sets(directory: Path) -> list[Mapping[str, bytes]]:
    spool: Spool = await opened(directory)
    tokens = await spool.tokens()
    await spool.close()
    return [{path.name: path.read_bytes() for path in (directory / "kept" / token).iterdir()} for token in tokens]


SCENES: Final[Mapping[str, tuple[Callable[[Path], Awaitable[None]], Callable[[Path], Awaitable[object]], object]]] = {
    "first": (first, _documents, {"1": 1}),
    "change": (change, _documents, {"1": 2}),
    "compaction": (compaction, _documents, {"1": 59, "2": 60}),
    "failure": (failure, _documents, {"1": 1}),
    "kept_set": (kept_set, _sets, [FILES]),
    "late_set": (late_set, _sets, [FILES]),
    "removed_set": (removed_set, _sets, []),
}
"""What is done, what is found afterwards, and what must be found."""


async def kept_promise(scene: str, directory: Path) -> bool:
    """Return whether what was promised is found in the directory."""
    _, find, promised = SCENES[scene]
    return directory.is_dir() and await find(directory) == promised


async def main(scene: str, directory: Path, copy: Path | None = None) -> None:
    """Promise it, say so, and wait; or, with a place for a copy, leave there what a strict disk has of its parent directory."""
    disk = StrictDisk(directory.parent)
    if copy is not None:
        disk.install()
    await SCENES[scene][0](directory)
    if copy is not None:
        disk.cut(copy)
        os._exit(0)
    sys.stdout.write("promised\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(Path, sys.argv[2:])))
