"""The same files with `rclone copy`, told not to look at what is there and not to look again at what it wrote."""

import os
import subprocess
import sys
from pathlib import Path

from measuring import measured

REMOTE = {
    "TYPE": "s3",
    "PROVIDER": "Other",
    "ACCESS_KEY_ID": "bench",
    "SECRET_ACCESS_KEY": "bench-bench-bench",
    "REGION": "us-east-1",
    "NO_CHECK_BUCKET": "true",
    "NO_HEAD": "true",
    "DISABLE_CHECKSUM": "true",
    "DISABLE_HTTP2": "true",
}
OPTIONS = ["--no-check-dest", "--no-traverse", "--ignore-checksum", "--s3-no-system-metadata", "--retries", "1"]


def main(url: str, source: Path, at_once: int) -> None:
    remote = {f"RCLONE_CONFIG_SINK_{name}": value for name, value in {**REMOTE, "ENDPOINT": url}.items()}
    remote["RCLONE_CONFIG"] = "/dev/null"
    files = sum(len(list(folder.iterdir())) for folder in source.iterdir())
    command = ["rclone", "copy", str(source), "sink:bucket/rclone", "--transfers", str(at_once), *OPTIONS]
    # What the surroundings say about AWS is not meant for the sink; rclone refuses some of it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | remote
    with measured() as meter:
        subprocess.run(command, env=environment, check=True)
    meter.report(files)


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
