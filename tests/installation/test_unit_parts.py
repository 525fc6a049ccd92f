"""What makes the unit that of a server on a database, or of a worker, held to the code, and to systemd if it is installed."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from consignee.settings import load_settings
from installation.files import ROOT, require_command, unit
from installation.test_unit import PLACES, UNIT, analyze, needs_systemd

PARTS = ("database.conf", "worker.conf")


def variables(name: str) -> dict[str, str]:
    """The variables of a part, as the service sees them."""
    found = dict(shlex.split(text)[0].split("=", 1) for text in unit(name)["Environment"])
    return {name: re.sub("%[Sd]", lambda mark: PLACES[mark[0]], text) for name, text in found.items()}


def installed(directory: Path, *, worker: str = "") -> Path:
    """Lay out a worker's unit with its parts, as the page says; `worker` takes the place of that part. Its program is there."""
    program = "/opt/consignee/bin/consignee"
    path = directory / "consignee-worker.service"
    path.write_text(UNIT.read_text().replace(program, sys.executable))
    parts = directory / "consignee-worker.service.d"
    parts.mkdir()
    for name in PARTS:
        text = (ROOT / "packaging" / "systemd" / name).read_text()
        (parts / name).write_text(
            (worker if worker and name == "worker.conf" else text).replace(program, sys.executable)
        )
    return path


def test_the_worker_is_a_command_that_is_there() -> None:
    before, start = unit("worker.conf")["ExecStart"]
    assert before == ""
    require_command(shlex.split(start))


def test_a_worker_s_state_is_in_a_directory_of_its_own() -> None:
    """Two units with users of their own would take one directory from each other."""
    before, directory = unit("worker.conf")["StateDirectory"]
    assert before == "" and [directory] != unit()["StateDirectory"]
    assert variables("worker.conf") == {"CONSIGNEE_STORE__PATH": f"{PLACES['%S']}/{directory}"}


def test_what_systemd_loads_is_where_the_settings_look_for_it(tmp_path: Path) -> None:
    loaded = dict(text.split(":") for text in unit("database.conf")["LoadCredential"])
    given = variables("database.conf")
    assert sorted(Path(path).name for path in given.values()) == sorted(loaded)
    for name in loaded:
        (tmp_path / name).write_text("postgresql://db.internal/consignee\n")
    environ = {name: str(tmp_path / Path(path).name) for name, path in given.items()}
    settings = load_settings(environ=environ)
    assert settings.store.url and settings.staging.s3_access_key_id and settings.staging.s3_secret_access_key
    assert all(Path(source).is_absolute() for source in loaded.values())


@needs_systemd
def test_systemd_takes_the_parts_and_nothing_is_left_of_the_server(tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", installed(tmp_path))
    assert (done.returncode, [line for line in done.stderr.splitlines() if "consignee" in line]) == (0, [])


@needs_systemd
@pytest.mark.parametrize("wrong", ["StateDirectoory=consignee-worker", "ExecStart=worker"])
def test_what_systemd_does_not_take_would_be_noticed(tmp_path: Path, wrong: str) -> None:
    text = (ROOT / "packaging" / "systemd" / "worker.conf").read_text()
    done = analyze("verify", "--man=no", installed(tmp_path, worker=f"{text}\n{wrong}\n"))
    assert re.search("worker.conf|more than one ExecStart", done.stderr)
