"""A directory and a bucket keep the same promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consignee.delivery.result_files import ResultFiles
from delivery.result_files_contract import ResultFilesContract
from delivery.spooling import opened
from delivery.stage import staged


class TestSpool(ResultFilesContract):
    @pytest.fixture
    async def files(self, tmp_path: Path) -> AsyncIterator[ResultFiles]:
        """A directory."""
        spool = await opened(tmp_path / "spool")
        yield spool
        await spool.close()


class TestStaging(ResultFilesContract):
    @pytest.fixture
    async def files(self) -> AsyncIterator[ResultFiles]:
        """A bucket, in pieces of 64 KiB."""
        async with staged() as stage, stage.process() as staging:
            yield staging


class TestStagingInOddPieces(ResultFilesContract):
    @pytest.fixture
    async def files(self) -> AsyncIterator[ResultFiles]:
        """A bucket, in pieces that no file's size fits."""
        async with staged() as stage, stage.process(piece=99_991) as staging:
            yield staging
