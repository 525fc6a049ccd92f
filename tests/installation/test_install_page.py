"""docs/install.md, held to what it tells of: commands, files, settings, extras."""

import configparser
import re
import shlex
from pathlib import Path

import pytest

from consignee import cli
from consignee.settings import Settings
from installation.files import ROOT, compose, one, unit
from pages import BLOCKS, PAGES, rows

PAGE = "docs/install.md"
LINES = [
    line
    for page, language, code in BLOCKS
    if (page, language) == (PAGE, "sh")
    for line in re.sub(r"\\\n\s*", "", code).splitlines()
]
COMMANDS = [words for words in (shlex.split(line, comments=True) for line in LINES) if words]
MADE = ("/backups/", "/etc/", "/opt/", "/var/", "/run/")
"""Where the commands make what they name, or the reader has it."""


def ours() -> list[list[str]]:
    """The arguments of each call of our own command, from behind its name to the end."""
    found = []
    for words in COMMANDS:
        at = [number for number, word in enumerate(words) if Path(word).name == "consignee" and number + 1 < len(words)]
        if at and "install" not in words[: at[-1] + 1] and words[at[-1]].endswith(("bin/consignee", "consignee")):
            found.append(words[at[-1] + 1 :])
    return found


def block(language: str) -> str:
    """The only block of the page in that language."""
    (found,) = [code for page, each, code in BLOCKS if (page, each) == (PAGE, language)]
    return found


@pytest.mark.parametrize("words", [words for words in ours() if words[0] in cli._COMMANDS], ids=" ".join)
def test_a_command_of_the_page_is_taken(words: list[str]) -> None:
    cli.parser(words[0]).parse_args(words)


def test_every_kind_of_command_is_looked_at() -> None:
    """So that the test above can't pass for want of any."""
    assert {words[0] for words in ours()} >= {"health", "keys", "backup", "restore", "config"}


def test_the_files_of_the_clone_that_are_named_are_there() -> None:
    named = {word for words in COMMANDS for word in words if re.match(r"(config|packaging|docs)/", word)}
    assert {
        "config/production.example.toml",
        "packaging/systemd/consignee.service",
        "packaging/helm/consignee",
    } <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_extra_for_users_has_its_line() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"].keys() - {"test", "dev", "bench", "browser"}
    assert {row[0] for row in rows(PAGE, "With pip")} == {"none", *extras}


def test_places_are_those_of_the_unit_and_of_the_image() -> None:
    text = PAGES[PAGE]
    (start,), (credential,) = unit()["ExecStart"], unit()["LoadCredential"]
    assert start.split()[0] in text and credential.split(":")[1] in text
    assert f"{one('VOLUME')}" in text and one("USER").split(":")[0] in text
    (secret,) = compose()["secrets"]
    assert f"/run/secrets/{secret}:ro" in text
    assert Path(compose()["secrets"][secret]["file"]).name in text


def test_both_proxies_lead_to_the_port_and_keep_queries_out_of_their_logs() -> None:
    address = f"127.0.0.1:{Settings().server.port}"
    for language in ("nginx", "caddyfile"):
        assert address in block(language)
    (form,) = re.findall(r"^log_format .*$", block("nginx"), re.MULTILINE)
    assert not re.search(r"\$(request|request_uri|args|query_string|is_args)\b", form)
    assert "delete api_key" in block("caddyfile")
    assert "exclude http.log.error" in block("caddyfile")
