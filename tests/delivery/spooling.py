"""What the tests of the spool share: content that arrives, and what lies in the spool's directory."""

from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Executor
from pathlib import Path

from consignee.delivery.spool import Spool, SpooledFile


async def arriving(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


async def opened(directory: Path, *, executor: Executor | None = None) -> Spool:
    """Return an open spool."""
    spool = Spool(directory, executor=executor)
    await spool.open()
    return spool


async def kept(spool: Spool, files: Iterable[tuple[str, bytes]]) -> tuple[str, list[SpooledFile]]:
    """Return the token and the files of a new set."""
    async with spool.intake() as intake:
        for name, content in files:
            await intake.add(name, arriving(content))
        return await intake.keep(), intake.files


async def content(spool: Spool, token: str, number: int, file: SpooledFile) -> bytes:
    """Return what the spool holds of a file."""
    return b"".join([chunk async for chunk in spool.body(token, number, file).chunks()])


def lying_in(directory: Path) -> list[str]:
    """Return the paths of all that there is beside the spool's two folders, sorted."""
    return sorted(str(path.relative_to(directory)) for path in directory.glob("*/**/*"))
