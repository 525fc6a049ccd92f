"""The files that go out together."""

from pathlib import Path

import pytest

from consignee.commands.parcel import Unsuitable, packed


async def test_a_file_that_changes_while_it_is_read_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    for change in (b"", b"shorter", b"content that is longer by now"):
        path = tmp_path / "file"
        path.write_bytes(b"the content")
        (item,) = packed([path]).items
        path.write_bytes(change)
        sent: list[int] = []
        with pytest.raises(Unsuitable, match="changed while it was read"):
            assert b"".join([chunk async for chunk in item.chunks(sent.append)]) == change
        assert sum(sent) == len(change)


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"123")
    assert packed([tmp_path / "a", tmp_path / "b"]).size == 6
