"""The files that go out together."""

from pathlib import Path

from consignee.commands.parcel import packed


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"123")
    files, total = packed([tmp_path / "a", tmp_path / "b"])
    assert (files, total) == ({"a": tmp_path / "a", "b": tmp_path / "b"}, 6)
