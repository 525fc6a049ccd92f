"""1 GB from disk in parts, beside the SDKs, rclone and curl."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from contest import OURS, Aim, Contest
from lab import Lab
from parts_sink import parts_sink

MEBIBYTE: Final = 1024 * 1024
TOGETHER: Final = 8
NOTE: Final = (
    "From a file that is in the page cache, in parts of 16 MiB, 4 at once; curl sends it in one request, and rclone an "
    "eighth of it, or it would take half of all the time. A contender may use both cores, of which the sink has one. Libraries "
    "have sent a small file before. memory is of the contender's whole process, what it has imported included. We alone tell the "
    "storage the MD5 of each part, and compare what we send with a sum of what was taken in; both were made at the intake, of "
    "which the last contest shows the cost."
)


def contests(lab: Lab) -> Iterator[Contest]:
    """Yield the contests."""
    sink = lab.shared(parts_sink)
    whole = lab.pick(1024, 128)
    sizes = {"small": 32, "large": whole, "quarter": whole // 4, "eighth": whole // 8}
    files = {name: _file(lab.disk / name, size) for name, size in sizes.items()}
    spool, turn = lab.disk / "spool", partial(lab.turn, core=None)
    turn("large_intake", spool, *files.values())
    ours, both = partial(turn, "large_consignee"), (files["small"], files["large"])
    for scheme, url in (("http", sink.http), ("https", sink.https)):
        yield Contest(
            title=f"{whole} MiB from disk to S3 over {scheme}, in parts",
            unit="GB",
            contenders={
                OURS: partial(ours, "s3", url, sink.ca_file, 1, spool, *both),
                "obstore": partial(turn, "large_obstore", url, sink.ca_file, 1, *both),
                "boto3": partial(turn, "large_boto3", url, sink.ca_file, 1, *both),
                "rclone": partial(turn, "large_rclone", url, sink.ca_file, files["eighth"]),
                "curl": partial(turn, "large_curl", url, sink.ca_file, files["large"]),
            },
            aims=_aims("obstore", "boto3", "rclone", "curl"),
            note=NOTE,
        )
    quarter = files["small"], files["quarter"]
    yield Contest(
        title=f"{whole // 4} MiB from disk to Azure over https, in blocks",
        unit="GB",
        contenders={
            OURS: partial(ours, "azure", sink.https, sink.ca_file, 1, spool, *quarter),
            "azure SDK, aio": partial(turn, "large_azure", "aio", sink.https, sink.ca_file, *quarter),
            "azure SDK, threads": partial(turn, "large_azure", "threads", sink.https, sink.ca_file, *quarter),
            "curl": partial(turn, "large_curl", sink.https, sink.ca_file, files["quarter"]),
        },
        aims=_aims("azure SDK, aio", "azure SDK, threads", "curl"),
    )
    yield Contest(
        title=f"{whole // 4} MiB from disk to OSS over https, in parts",
        unit="GB",
        contenders={
            OURS: partial(ours, "oss", sink.https, sink.ca_file, 1, spool, *quarter),
            "oss2": partial(turn, "large_oss2", sink.https, sink.ca_file, *quarter),
            "curl": partial(turn, "large_curl", sink.https, sink.ca_file, files["quarter"]),
        },
        aims=_aims("oss2", "curl"),
    )
    eighth = files["small"], files["eighth"]
    yield Contest(
        title=f"{TOGETHER} files of {whole // 8} MiB at once to S3 over https, in parts",
        unit="GB",
        contenders={
            OURS: partial(ours, "s3", sink.https, sink.ca_file, TOGETHER, spool, *eighth),
            "obstore": partial(turn, "large_obstore", sink.https, sink.ca_file, TOGETHER, *eighth),
            "boto3": partial(turn, "large_boto3", sink.https, sink.ca_file, TOGETHER, *eighth),
        },
        aims=[Aim("memory", most=100.0)],
    )
    yield Contest(
        title=f"{whole // 4} MiB taken into the spool: copied, synced, and hashed as a whole and by section",
        unit="GB",
        contenders={OURS: partial(turn, "large_intake", spool, files["quarter"])},
    )


def _file(path: Path, mebibytes: int) -> Path:
    piece = os.urandom(MEBIBYTE)
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(number.to_bytes(8) + piece[8:])
    return path


def _aims(*beside: str) -> list[Aim]:
    return [
        Aim("rate", least=1.0, beside=beside),
        Aim("cpu", most=2.0, beside=("curl",)),
        Aim("memory", most=100.0),
    ]
