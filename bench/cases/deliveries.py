"""Small result sets, from hand-over to acknowledgement, beside a copy of the same files that keeps nothing."""

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from contest import OURS, Aim, Contest, Sample
from lab import Lab
from sink import sink

FILES: Final = 3
BYTES: Final = 1024
AT_ONCE: Final = 16
NOTE: Final = (
    "Result sets of 3 files of 1 KB are read from disk and handed over, 64 at once; each is copied to the spool, synced, "
    "recorded, delivered and acknowledged: all of it survives a power cut at any moment. rclone and boto3 copy the same "
    "files and make nothing durable. commits: the store's durable writes for each file. syncs: all fsync and fdatasync "
    "calls of the process, the spool's too, for each file. One core each; 16 uploads at once."
)


def contests(lab: Lab) -> Iterator[Contest]:
    """Yield the contest."""
    source = _source(lab.disk / "source", lab.pick(600, 150))
    url = lab.shared(sink).http
    yield Contest(
        title="Result sets of 3 x 1 KB: handed over, durable, delivered, acknowledged",
        unit="files",
        contenders={
            OURS: partial(_ours, lab, url, source),
            f"{OURS} with uvloop": partial(_ours, lab, url, source, "uvloop"),
            "rclone copy": partial(lab.turn, "deliveries_rclone", url, source, AT_ONCE),
            "boto3 in threads": partial(lab.turn, "deliveries_boto3", url, source, AT_ONCE),
        },
        aims=[Aim("rate", least=1.0, beside=("rclone copy",)), Aim("commits", most=0.5)],
        note=NOTE,
    )


def _source(home: Path, sets: int) -> Path:
    for number in range(sets):
        folder = home / f"{number:05d}"
        folder.mkdir(parents=True)
        for file in range(FILES):
            (folder / f"{file}.csv").write_bytes(os.urandom(BYTES))
    return home


def _ours(lab: Lab, url: str, source: Path, *options: str) -> Sample:
    """A turn with a store and a spool of its own; they go at the end of all: ext4 is slow for a while after many removals."""
    return lab.turn("deliveries_consignee", url, source, tempfile.mkdtemp(dir=lab.disk), AT_ONCE, *options)
