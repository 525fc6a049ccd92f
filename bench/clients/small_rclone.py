"""Small objects through `rclone copy` of as many files on tmpfs; what it takes to start with no file is taken off."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from measuring import Meter, measured
from small_puts import ACCOUNT, AT_ONCE, BUCKET, CONTENT, KEY_ID, REGION, SECRET, asked, report

NO_CHECKS: Final = ("--no-check-dest", "--no-traverse", "--ignore-checksum", "--retries=1", "--low-level-retries=1")
S3: Final = ("--s3-no-check-bucket", "--s3-no-head", "--s3-force-path-style=true")


def remote(kind: str, url: str) -> dict[str, str]:
    """Return the environment that describes the remote `bench:`."""
    if kind == "azure":
        # With the account's key, it knows only hosts with the account's name in front; so it signs nothing itself.
        given = {"type": "azureblob", "sas_url": f"{url}/{ACCOUNT}/{BUCKET}?sv=2021-12-02&sr=c&sp=rwl&sig=bench"}
    else:
        given = {"type": "s3", "provider": "Other", "access_key_id": KEY_ID, "secret_access_key": SECRET}
        given |= {"endpoint": url, "region": REGION}
    return {f"RCLONE_CONFIG_BENCH_{name.upper()}": value for name, value in given.items()}


@contextmanager
def files(count: int) -> Iterator[Path]:
    """Yield a directory with that many files."""
    home = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        for number in range(count):
            (home / str(number)).write_bytes(CONTENT)
        yield home
    finally:
        shutil.rmtree(home)


def copy(kind: str, url: str, ca_file: str, source: Path, at_once: int) -> Meter:
    """Return what it took to copy a directory."""
    environment = {"PATH": os.environ["PATH"], "RCLONE_CONFIG": "/notfound", **remote(kind, url)}
    if ca_file:
        environment["RCLONE_CA_CERT"] = ca_file
    target = f"bench:{BUCKET}/{os.urandom(4).hex()}"
    command = ["rclone", "copy", str(source), target, f"--transfers={at_once}", *NO_CHECKS, *S3, "--log-level=ERROR"]
    with measured() as meter:
        subprocess.run(command, check=True, env=environment)
    return meter


def main() -> None:
    """Copy nothing, then the files."""
    kind, url, count, ca_file = asked()
    with files(0) as empty, files(count) as source:
        starts = [copy(kind, url, ca_file, empty, 1) for _ in range(2)]
        meters = {at_once: copy(kind, url, ca_file, source, at_once) for at_once in AT_ONCE}
    for meter in meters.values():
        meter.seconds -= min(start.seconds for start in starts)
        meter.cpu -= min(start.cpu for start in starts)
    report(meters, count)


if __name__ == "__main__":
    main()
