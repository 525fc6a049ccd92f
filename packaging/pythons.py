"""The wheel in clean environments of several Pythons: `python packaging/pythons.py PYTHON ... [--tests PATH ...]`.

For each Python and each extra alone: whether it installs, how many MB it takes, and how many ms of CPU its imports take. With
`--tests`, then the tests in these paths, and the tour. Ends with status 1 if anything failed or a Python is missing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
EXTRAS: Final = ("", "s3", "gcs", "azure", "oss", "metrics", "postgres", "speed", "all")
SDKS: Final = {
    "s3": "aiobotocore.session",
    "gcs": "gcloud.aio.storage",
    "azure": "azure.storage.blob.aio",
    "oss": "oss2",
    "metrics": "prometheus_client",
    "postgres": "asyncpg",
    "speed": "uvloop",
}
"""What each extra brings, which is imported when it is used for the first time."""
RUNS: Final = 5
_TIMED: Final = (
    "import importlib, sys, time; began = time.process_time();"
    "[importlib.import_module(name) for name in sys.argv[1:]]; print(time.process_time() - began)"
)
_PUBLIC: Final = "import consignee; [getattr(consignee, name) for name in consignee.__all__]"


class Failed(Exception):
    """A command ended with another status than 0; holds the end of what it said."""


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Return what a command prints; raises Failed."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("CONSIGNEE_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**given, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
    )
    if done.returncode != 0:
        raise Failed(
            f"{Path(command[0]).name} {command[1]}: status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"
        )
    return done.stdout


def environment(python: str, directory: Path, *requirements: str) -> Path:
    """Return the interpreter of a new environment with these requirements, and without pip; raises Failed."""
    run(python, "-m", "venv", "--without-pip", directory)
    made = directory / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", made, "install", "--quiet", *requirements)
    return made


def megabytes(directory: Path) -> float:
    """Return what the files in a directory hold, in MB."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir()) / 1e6


def milliseconds(python: Path, *modules: str) -> float:
    """Return how much CPU a new process needs to import the modules, the best of a few."""
    return min(float(run(python, "-W", "error", "-c", _TIMED, *modules)) for _ in range(RUNS)) * 1000


def with_extra(python: str, extra: str, wheel: Path) -> Iterator[str]:
    """Yield the cells of an extra's row; raises Failed."""
    with tempfile.TemporaryDirectory(prefix="consignee-python-") as directory:
        made = environment(python, Path(directory, "env"), f"{wheel}[{extra}]" if extra else str(wheel))
        site = Path(run(made, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
        run(made, "-W", "error", "-c", _PUBLIC, cwd=Path(directory))
        if run(made.with_name("consignee"), "--version").split()[1] != wheel.name.split("-")[1]:
            raise Failed("consignee --version: another version")
        yield f"{megabytes(site):.1f}"
        yield f"{milliseconds(made, 'consignee'):.0f}"
        yield f"{milliseconds(made, 'consignee.web.server'):.0f}"
        yield f"{sdk_milliseconds(made, extra):.0f}" if extra in SDKS else "-"


def sdk_milliseconds(python: Path, extra: str) -> float:
    """Return how much longer it takes with the extra's own package, whose warnings are not ours."""
    alone = min(float(run(python, "-c", _TIMED, "consignee.web.server")) for _ in range(RUNS))
    both = min(float(run(python, "-c", _TIMED, "consignee.web.server", SDKS[extra])) for _ in range(RUNS))
    return (both - alone) * 1000


def tested(python: str, wheel: Path, paths: Sequence[str], beside: Sequence[str]) -> Iterator[str]:
    """Yield what came of the tests and of the tour; raises Failed."""
    with tempfile.TemporaryDirectory(prefix="consignee-python-") as directory:
        made = environment(python, Path(directory, "env"), f"{wheel}[test]", *beside)
        said = run(made, "-m", "pytest", "--no-cov", "-q", "-p", "no:cacheprovider", *paths)
        yield said.strip().splitlines()[-1].strip("= ")
        tour = run(made, "-m", "consignee", "demo", "--once", PYTHONPATH=str(ROOT / "tests"))
        yield tour.strip().splitlines()[-1]


def look_at(python: str, wheel: Path, tests: Sequence[str], beside: Sequence[str] = ()) -> int:
    """Print what was found with one Python; return how much of it failed."""
    if (found := shutil.which(python)) is None:
        print(f"\n{python}: not there")
        return 1
    failures = 0
    print(f"\n{run(found, '--version').strip()} ({python})\n", flush=True)
    print("| extra | MB | import consignee | serve's imports | its own package |\n|---|---|---|---|---|")
    for extra in EXTRAS:
        try:
            print(f"| {extra or 'none'} | {' | '.join(with_extra(found, extra, wheel))} |", flush=True)
        except Failed as error:
            failures += 1
            print(f"| {extra or 'none'} | failed: {error} |", flush=True)
    try:
        for line in tested(found, wheel, tests, beside) if tests else ():
            print(f"\n{line}", flush=True)
    except Failed as error:
        failures += 1
        print(f"\n{error}", flush=True)
    return failures


def main() -> int:
    """Build the wheel, and look at it with each Python."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", metavar="PYTHON", nargs="+")
    parser.add_argument("--tests", metavar="PATH", nargs="*", default=[])
    parser.add_argument("--beside", metavar="REQUIREMENT", nargs="*", default=[], help="what the tests are run beside")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="consignee-wheel-") as directory:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory, ROOT)
        (wheel,) = Path(directory).glob("*.whl")
        assert re.fullmatch(r"consignee-[\d.]+\w*-py3-none-any\.whl", wheel.name), wheel.name
        failures = sum(look_at(python, wheel, given.tests, given.beside) for python in given.pythons)
    print(f"\n{failures} failed" if failures else "\nall as it should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
