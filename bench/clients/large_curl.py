"""One large file by `curl -T`, in one request."""

import subprocess
import sys
from pathlib import Path

from measuring import measured

OPTIONS = ["--silent", "--show-error", "--fail", "--output", "/dev/null", "--header", "Expect:"]


def main(url: str, ca_file: str, large: Path) -> None:
    command = ["curl", *OPTIONS, "--cacert", ca_file, "--upload-file", str(large), f"{url}/bucket/curl"]
    with measured() as meter:
        subprocess.run(command, check=True)
    meter.report(large.stat().st_size / 1e9)


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
