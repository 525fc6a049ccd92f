"""Small objects through wrk, which signs nothing and makes nothing anew: what the sink takes."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from measuring import Meter, measured
from small_puts import AT_ONCE, CONTENT, asked, report

SECONDS: Final = 1
SCRIPT: Final = 'wrk.method = "PUT"\nwrk.path = "/bucket/wrk/object"\nwrk.body = string.rep("x", {length})\n'


def run(url: str, at_once: int, count: int) -> Meter:
    """Return what `count` requests take."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        Path(script.name).write_text(SCRIPT.format(length=len(CONTENT)))
        command = ["wrk", "-t1", f"-c{at_once}", f"-d{SECONDS}s", "-s", script.name, url]
        with measured() as meter:
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    made = re.search(r"(\d+) requests in ([\d.]+)s", shown)
    if made is None or "Non-2xx" in shown:
        raise RuntimeError(shown)
    meter.cpu *= count / int(made[1])
    meter.seconds = float(made[2]) * count / int(made[1])
    return meter


def main() -> None:
    """Run it with as many connections as are to be at once."""
    _, url, count, _ = asked()
    report({at_once: run(url, at_once, count) for at_once in AT_ONCE}, count)


if __name__ == "__main__":
    main()
