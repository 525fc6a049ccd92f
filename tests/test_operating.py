"""The commands on the pages for operators, run as they stand there, in a place of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import canaries
from consignee import load_settings, open_destinations
from pages import BLOCKS

Run = Callable[[str], str]
BACKUP, SECRETS, STORE = "docs/backup.md", "docs/secrets.md", "docs/store.md"
FIELDS = {
    "type": "s3",
    "name": "Reports",
    "enabled": False,
    "s3_access_key_id": "AKIAEXAMPLE",
    "s3_secret_access_key": canaries.S3_SECRET,
    "s3_bucket_name": "demo-bucket",
}
ENDS = "\npid=$!; until grep -q http address; do sleep 0.05; done; kill $pid; wait $pid"
"""A service that has answered is ended."""


def shell_blocks(page: str) -> list[str]:
    """Return the commands of a page, block by block."""
    return [code for found, language, code in BLOCKS if (found, language) == (page, "sh")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs commands in a directory with a configuration and a store; returns what they print."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name in ("backups", "keys"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "consignee.toml").write_text('[store]\npath = "var"\n[server]\nport = 0\n')

    def run(code: str) -> str:
        code = code.replace("/backups/", "backups/").replace("/keys/", "keys/")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    run("consignee keys create --account ann --config consignee.toml")
    return run


def test_a_backup_is_restored_as_the_page_says(run: Run) -> None:
    """The API key that was there before is there again, and the service starts."""
    backup, restore = shell_blocks(BACKUP)
    before = run("consignee keys list --config consignee.toml")
    run("cp var/secret.key keys/secret.key")
    run(backup)
    serve = "consignee serve --config consignee.toml"
    assert restore.rstrip().endswith(serve)
    run(restore.rstrip() + " > address &" + ENDS)
    assert "ann" in before and run("consignee keys list --config consignee.toml") == before


def test_sealing_keys_are_rotated_as_the_page_says(run: Run, tmp_path: Path) -> None:
    status, rotate, by_hand = shell_blocks(SECRETS)
    command, _, told = status.partition("#")
    told_id = re.findall(r"[0-9a-f]{8}", told)[0]
    printed = run(command)
    assert re.sub(r"[0-9a-f]{8}|\d+", "0", told.split(":")[0]).strip() in re.sub(r"[0-9a-f]{8}|\d+", "0", printed)
    (old_id,) = re.findall(r"key ([0-9a-f]{8})", printed)
    run(rotate.replace(told_id, old_id))
    assert old_id not in run(command)
    old_key = (tmp_path / "var" / "secret.key").read_text().strip()
    new_key = run(by_hand.splitlines()[0]).strip()
    (tmp_path / "var" / "secret.key").unlink()
    run(by_hand.splitlines()[1].replace("NEW OLD", f"{new_key} {old_key}") + "\nconsignee secrets rotate --resume")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
async def test_the_store_can_be_read_as_the_page_says(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_destinations(load_settings(Path("consignee.toml"), environ={})) as destinations:
        made = await destinations.create("ann", FIELDS)
        (read,) = shell_blocks(STORE)
        assert json.loads(run(read)) == [made.id, made.revision, "Reports"]
