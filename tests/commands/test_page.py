"""What docs/command-line.md shows is typed into a shell, with a real service and a home directory of its own."""

import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from commands.customer import KEY, SECONDS, Customer, customer_of
from consignee.demo.storage import StorageServer
from pages import blocks
from samples.serving import environment

PAGE: Final = [code for page, code in blocks("sh") if page == "docs/command-line.md"]
ASKED, SCRIPTED, COMPLETED = PAGE
ID: Final = "159F123B"
"""What stands for the id of a destination there."""


@pytest.fixture(scope="module")
def customer(swift: StorageServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    """A customer of its own: the page tests all destinations, also those that other tests leave broken."""
    with customer_of(swift, tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, customer: Customer) -> Path:
    """A home directory with what the page takes for granted: the key, the fields, two files, the places of scripts."""
    for name in (".config/fish/completions", ".local/share/bash-completion/completions", ".zfunc", "bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".config" / "consignee.key").write_text(f"{KEY}\n")
    fields = {**customer.fields(customer.bucket()), "name": "Reports"}
    (tmp_path / "reports.json").write_text(json.dumps(fields))
    for name in ("visits.csv", "visitors.csv"):
        (tmp_path / name).write_text(name)
    program = tmp_path / "bin" / "consignee"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m consignee "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def typed(code: str, home: Path, **environ: str) -> str:
    """Run a block as it is; each of its commands must do what it says. Return what it printed."""
    path = f"{home / 'bin'}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=code,
        capture_output=True,
        text=True,
        cwd=home,
        env={**environment(), "HOME": str(home), "PATH": path, **environ},
        timeout=3 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done.stdout


def test_a_session_goes_as_it_is_shown(customer: Customer, home: Path) -> None:
    """Only the address is another one, and the id, which nobody can know before."""
    code = ASKED.replace("https://files.example.com", customer.service.url)
    assert code != ASKED and ID in code
    shown = "consignee destinations show Reports --json"
    code = code.replace(ID, f"'$({shown} | grep -o '\"id\": \"[0-9A-F]*\"' | head -1 | tr -dc 0-9A-F)'")
    said = typed(code, home)
    assert "Reports: skipped, 0 of 2 files" in said
    assert sorted(path.name for path in (home / "saved").iterdir()) == ["visitors.csv", "visits.csv"]
    assert (home / "saved" / "visits.csv").read_text() == "visits.csv"
    assert customer.run("collections", "delete", "Daily figures", "--yes").returncode == 0
    assert customer.run("destinations", "delete", "Reports", "--yes").returncode == 0


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here")
def test_what_scripts_may_do_is_done(customer: Customer, home: Path) -> None:
    config = home / "consignee.toml"
    config.write_text(customer.config.read_text())
    own = {"CONSIGNEE_CLIENT__URL": customer.service.url}
    said = typed(SCRIPTED.replace(" --json", f" --json --config {config}"), home, **own)
    assert said.splitlines()[-1] == "50"
    key = home / "ann.key"
    is_key = key.read_text().startswith("csg_")
    assert is_key and stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_scripts_for_shells_are_written_where_it_is_said(home: Path) -> None:
    typed(COMPLETED, home)
    written = [path for path in home.rglob("*") if path.is_file() and "consignee" in path.read_text()[:200]]
    assert {path.name for path in written} >= {"consignee", "_consignee", "consignee.fish"}
    assert len(re.findall(r"consignee completion", COMPLETED)) == 3
