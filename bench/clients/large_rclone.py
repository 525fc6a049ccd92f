"""Large files by `rclone copyto`, with parts of the size of ours, as many at once, and no digests but those of signing."""

import os
import subprocess
import sys
from pathlib import Path

from large_file import KEY, SECRET
from measuring import measured

REMOTE = {
    "TYPE": "s3",
    "PROVIDER": "Other",
    "ACCESS_KEY_ID": KEY,
    "SECRET_ACCESS_KEY": SECRET,
    "REGION": "us-east-1",
    "NO_CHECK_BUCKET": "true",
    "NO_HEAD": "true",
    "DISABLE_CHECKSUM": "true",
    "DISABLE_HTTP2": "true",
    "CHUNK_SIZE": "16Mi",
    "UPLOAD_CUTOFF": "16Mi",
    "UPLOAD_CONCURRENCY": "4",
}
OPTIONS = ["--no-check-dest", "--ignore-checksum", "--s3-no-system-metadata", "--retries", "1", "--buffer-size", "16Mi"]


def main(url: str, ca_file: str, large: Path) -> None:
    remote = {f"RCLONE_CONFIG_SINK_{name}": value for name, value in {**REMOTE, "ENDPOINT": url}.items()}
    remote["RCLONE_CONFIG"] = "/dev/null"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | remote
    command = ["rclone", "copyto", str(large), "sink:bucket/rclone", "--ca-cert", ca_file, *OPTIONS]
    with measured() as meter:
        subprocess.run(command, env=environment, check=True)
    meter.report(large.stat().st_size / 1e9)


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
