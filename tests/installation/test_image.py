"""The Dockerfile and compose.yaml, held to the code. What they need an engine for is not run here."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consignee import __version__
from consignee.settings import Settings, load_settings
from installation.files import (
    ROOT,
    compose,
    image_command,
    image_environment,
    instructions,
    last_stage,
    one,
    require_command,
)

SETTINGS = ROOT / "packaging" / "docker" / "consignee.toml"
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
PORT = Settings().server.port


def in_image() -> Settings:
    """The settings of a container that was given nothing."""
    return load_settings(SETTINGS, environ=image_environment())


def ours() -> configparser.ConfigParser:
    """setup.cfg, which says what is installed."""
    found = configparser.ConfigParser(interpolation=None)
    found.read(ROOT / "setup.cfg")
    return found


def test_the_container_runs_commands_that_are_there() -> None:
    """Its own, and its health check, with the settings that lie where they look for them."""
    entry, command = image_command(one("ENTRYPOINT")), image_command(one("CMD"))
    check = image_command(one("HEALTHCHECK"))
    require_command([*entry, *command])
    require_command(check)
    config = command[command.index("--config") + 1]
    assert check[check.index("--config") + 1] == config
    assert ("COPY", f"packaging/docker/consignee.toml {config}") in last_stage()


def test_the_container_s_settings_can_be_loaded_and_reach_out_of_it() -> None:
    """At any address of the container, at the port that is exposed, and at no other account than made ones."""
    settings = in_image()
    assert (settings.server.host, settings.accounts.fixed) == ("0.0.0.0", ())
    assert one("EXPOSE") == str(settings.server.port) == str(PORT)
    assert settings.egress == Settings().egress


def test_only_the_volume_is_written_to_and_the_key_is_not_in_it() -> None:
    """The store is a directory in the volume, which itself may be mounted with rights for others."""
    settings, volume = in_image(), Path(one("VOLUME"))
    assert Path(settings.store.path).parent == volume
    assert not settings.delivery.spool
    assert not Path(settings.secrets.key_file).is_relative_to(volume)


def test_nobody_is_root_in_the_container() -> None:
    """A number, so that the supervisor can tell; the directory of the volume is that user's alone."""
    user, group = one("USER").split(":")
    made = next(rest for name, rest in last_stage() if name == "RUN")
    assert user.isdigit() and int(user) > 0
    assert f"--gid {group} consignee" in made and f"--uid {user} " in made
    assert f"install -d -o consignee -g consignee -m 0700 {one('VOLUME')}" in made


def test_nothing_but_what_is_needed_is_sent_to_the_builder() -> None:
    """No store and no key of the clone: all is left out but what is copied."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert lines[0] == "*" and copied == kept
    assert [name for name in kept if not (ROOT / name).exists()] == []


def test_what_the_wheel_is_made_of_is_copied() -> None:
    metadata = ours()["metadata"]
    copied = " ".join(rest for name, rest in instructions() if name == "COPY")
    for name in (metadata["long_description"].removeprefix("file: "), metadata["license_files"], "pyproject.toml"):
        assert name in copied.split()


def test_the_extras_of_the_image_are_there_and_its_python_is_one_that_is_tested() -> None:
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    assert set(arguments["EXTRAS"].split(",")) <= ours()["options.extras_require"].keys()
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", arguments["BASE"])
    assert version and f"Programming Language :: Python :: {version[1]}" in ours()["metadata"]["classifiers"]
    assert {rest.split(" AS ")[0] for name, rest in instructions() if name == "FROM"} == {"${BASE}"}


def test_no_layer_holds_a_secret_or_fetches_what_nobody_checks() -> None:
    assert "CONSIGNEE_SECRETS__KEY" not in image_environment()
    assert [name for name, _ in instructions() if name == "ADD"] == []
    assert not re.search(r"\b(curl|wget|git clone)\b", (ROOT / "Dockerfile").read_text())


def test_compose_gives_the_container_no_more_than_it_needs() -> None:
    service = compose()["services"]["consignee"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == f"consignee:{__version__}"


def test_compose_mounts_the_volume_and_hands_over_the_key_where_the_image_looks() -> None:
    described = compose()
    (volume,) = described["services"]["consignee"]["volumes"]
    (secret,) = described["services"]["consignee"]["secrets"]
    name, place = volume.split(":")
    assert place == one("VOLUME") and name in described["volumes"]
    assert in_image().secrets.key_file == f"/run/secrets/{secret}"
    assert described["secrets"][secret].keys() == {"file"}


def test_compose_sets_settings_that_are_there_and_publishes_their_port_to_the_machine_alone() -> None:
    service = compose()["services"]["consignee"]
    settings = load_settings(SETTINGS, environ={**image_environment(), **service["environment"]})
    assert settings.limits.connections_per_address == 0
    assert service["ports"] == [f"127.0.0.1:{PORT}:{settings.server.port}"]


def test_compose_waits_longer_than_a_stop_takes() -> None:
    seconds = compose()["services"]["consignee"]["stop_grace_period"]
    assert float(seconds.removesuffix("s")) > in_image().server.shutdown_timeout


@pytest.mark.skipif(HADOLINT is None, reason="needs hadolint")
def test_hadolint_finds_nothing_wrong() -> None:
    done = subprocess.run(
        [str(HADOLINT), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")
