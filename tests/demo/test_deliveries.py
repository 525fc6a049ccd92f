"""What the tour takes for right."""

import hashlib
import json

import pytest

from consignee.demo.deliveries import FILES, MANIFEST, _is_whole

FOLDER = "exports/Shop pages/2030_01_01/1/"


def objects() -> dict[str, bytes]:
    """Return a bucket as it should be."""
    listed = [{"name": name, "sha256": hashlib.sha256(content).hexdigest()} for name, content in FILES.items()]
    return {
        FOLDER + name: content for name, content in {**FILES, MANIFEST: json.dumps({"files": listed}).encode()}.items()
    }


def test_a_bucket_with_all_files_and_their_manifest_is_right() -> None:
    assert _is_whole(objects())


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_bucket_in_which_one_is_missing_or_altered_is_not(name: str) -> None:
    found = objects()
    altered = b'{"files": []}' if name == MANIFEST else found[FOLDER + name] + b"!"
    assert not _is_whole({**found, FOLDER + name: altered})
    assert not _is_whole({key: content for key, content in found.items() if key != FOLDER + name})
    assert not _is_whole({**found, FOLDER + "more": b""})
