"""The systemd unit, held to the code, and to systemd itself where that is installed."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consignee.settings import Settings, load_settings
from installation.files import ROOT, require_command, unit

UNIT = ROOT / "packaging" / "systemd" / "consignee.service"
EXAMPLE = ROOT / "config" / "production.example.toml"
PLACES = {"%S": "/var/lib", "%d": "/run/credentials/consignee.service"}
"""What systemd puts in place of these: systemd.unit(5), "Specifiers"."""
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")


def variables() -> dict[str, str]:
    """The variables of the unit, as the service sees them."""
    found = dict(shlex.split(text)[0].split("=", 1) for text in unit()["Environment"])
    return {name: re.sub("%[Sd]", lambda mark: PLACES[mark[0]], text) for name, text in found.items()}


def in_unit() -> Settings:
    """The settings of the service with the example for production."""
    return load_settings(EXAMPLE, environ=variables())


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    assert ANALYZE is not None
    command = [ANALYZE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_unit_starts_a_command_that_is_there() -> None:
    (start,) = unit()["ExecStart"]
    require_command(shlex.split(start))


def test_the_unit_s_state_is_in_its_own_directory_and_out_of_everybody_else_s_reach() -> None:
    (directory,) = unit()["StateDirectory"]
    assert unit()["StateDirectoryMode"] == ["0700"]
    assert Path(in_unit().store.path) == Path(PLACES["%S"], directory)
    assert not in_unit().delivery.spool


def test_the_sealing_key_is_the_credential_that_systemd_loads() -> None:
    (loaded,) = unit()["LoadCredential"]
    name, source = loaded.split(":")
    assert Path(in_unit().secrets.key_file) == Path(PLACES["%d"], name)
    assert Path(source).is_absolute()


def test_the_unit_is_stopped_later_than_the_service_ends_by_itself() -> None:
    (seconds,) = unit()["TimeoutStopSec"]
    assert float(seconds.removesuffix("s")) > in_unit().server.shutdown_timeout


def test_the_unit_allows_as_many_files_as_connections_need() -> None:
    (files,) = unit()["LimitNOFILE"]
    assert int(files) > 2 * in_unit().limits.connections


@needs_systemd
def test_systemd_knows_every_option(tmp_path: Path) -> None:
    """With a program that is there, for that is looked for too. It says what it does not know, and goes on."""
    (tmp_path / "consignee.service").write_text(
        UNIT.read_text().replace("/opt/consignee/bin/consignee", sys.executable)
    )
    done = analyze("verify", "--man=no", tmp_path / "consignee.service")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "consignee.service" in line]) == (0, [])


@needs_systemd
def test_an_option_that_systemd_does_not_know_would_be_noticed(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/consignee/bin/consignee", sys.executable)
    (tmp_path / "consignee.service").write_text(text.replace("ProtectSystem=", "ProtectSistem="))
    assert "ProtectSistem" in analyze("verify", "--man=no", tmp_path / "consignee.service").stderr


@needs_systemd
def test_little_is_left_to_who_takes_the_service_over() -> None:
    """systemd's own measure, from 0 to 10; 2 and less is what it calls well protected."""
    done = analyze("security", "--offline=true", "--threshold=20", UNIT)
    assert done.returncode == 0, done.stdout[-2000:]
