"""As in the container: nothing can be written but below the volume, and no right is left."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from canaries import write_sealing_key
from installation.files import ROOT, image_environment, one
from samples.serving import environment

SETTINGS = ROOT / "packaging" / "docker" / "consignee.toml"
# Each mount but the volume's is made read-only, in a namespace of this process alone. Then all rights are dropped.
ENCLOSED = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 1
if mountpoint -q /tmp; then mount -o remount,bind,ro /tmp || exit 1; fi
if touch "$1/../outside" 2>/dev/null; then echo "not read-only" >&2; exit 1; fi
shift
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or None in map(shutil.which, ("unshare", "setpriv", "mountpoint")),
    reason="needs root, unshare and setpriv",
)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What is mounted at the volume's place."""
    (tmp_path / "volume").mkdir(mode=0o755)
    return tmp_path / "volume"


@pytest.fixture
def variables(volume: Path) -> dict[str, str]:
    """The image's variables, with the places of this machine for those of the container."""
    found = {name: text for name, text in image_environment().items() if name != "PATH"}
    found = {name: text.replace(one("VOLUME"), str(volume)) for name, text in found.items()}
    found["CONSIGNEE_SERVER__HOST"] = "127.0.0.1"  # the tests serve on loopback alone
    found["CONSIGNEE_SECRETS__KEY_FILE"] = str(write_sealing_key(volume.parent / "sealing.key"))
    return {**environment(coverage=False), **found}


@pytest.fixture
def enclosed(volume: Path, variables: dict[str, str]) -> Iterator[str]:
    """The URL of a server that can write to nothing but its volume."""
    command = ["unshare", "--mount", "sh", "-c", ENCLOSED, "sh", str(volume), sys.executable, "-m", "consignee"]
    command += ["serve", "--config", str(SETTINGS), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("consignee is ready at "), line
        yield line.split()[-1]
        process.terminate()
        assert process.wait(30) == 0


def run(*arguments: str, variables: dict[str, str]) -> str:
    """Return what the command prints; fails if it does."""
    command = [sys.executable, "-m", "consignee", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=variables).stdout.strip()


@needs_root
def test_all_that_is_written_is_in_the_volume(enclosed: str, volume: Path, variables: dict[str, str]) -> None:
    """It starts, makes a key, takes in a file and stops; its store is its own alone, though the volume is not."""
    assert run("health", "--url", enclosed, variables=variables) == f"{enclosed}: ready"
    key = run("keys", "create", "--account", "ann", variables=variables)
    headers = {"Authorization": f"Bearer {key}"}
    made = requests.post(
        f"{enclosed}/collections", json={"name": "C", "destination_ids": []}, headers=headers, timeout=30
    )
    path = f"/collections/{made.json()['collection']['id']}/results"
    taken = requests.post(enclosed + path, files={"file": ("a.txt", b"content")}, headers=headers, timeout=30)
    assert (taken.status_code, taken.json()["request_info"]["success"]) == (200, True)
    assert [path.name for path in volume.iterdir()] == ["store"]
    assert (volume / "store").stat().st_mode & 0o777 == 0o700
