"""--json on the commands that need no customer: one document each, for programs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canaries import API_KEY
from consignee import cli
from consignee.demo.storage import StorageServer
from samples.serving import serving, write_config

Told = Callable[..., tuple[int, Any]]
WRONG = {"type": "s3", "s3_access_key_id": "k", "s3_secret_access_key": "s"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with all its files in one place."""
    return write_config(tmp_path, accounts={"ann": API_KEY})


@pytest.fixture
def told(config: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command with --json, and returns its status and the one document that it printed; it says nothing else."""

    def ran(*arguments: str) -> tuple[int, Any]:
        status = cli.main([*arguments, "--json", "--config", str(config)])
        out, err = capsys.readouterr()
        assert (err, out.count("\n"), out.isascii()) == ("", 1, True)
        assert API_KEY not in out
        return status, json.loads(out)

    return ran


def test_every_command_but_two_has_it() -> None:
    """The tour is told to people, and a script is for shells."""
    without = set()
    for name, command in cli.parser()._subparsers._group_actions[0].choices.items():  # type: ignore[union-attr]
        nested = command._subparsers._group_actions[0].choices.values() if command._subparsers else [command]
        if not all("--json" in leaf.format_help() for leaf in nested):
            without.add(name)
    assert without == {"demo", "completion"}


def test_keys_are_told(told: Told) -> None:
    status, created = told("keys", "create", "--account", "bob")
    assert (status, created["account"]) == (0, "bob")
    (key,) = told("keys", "list")[1]["keys"]
    assert key.keys() == {"id", "account", "created_at"}
    assert created["api_key"].split("_")[1] == key["id"]
    assert told("keys", "revoke", key["id"]) == (0, {"revoked": key["id"]})
    status, refused = told("keys", "revoke", key["id"])
    assert (status, refused["request_info"]["success"]) == (2, False)
    assert refused["request_info"]["message"]


def test_backups_and_their_restoration_are_told(told: Told, config: Path, tmp_path: Path) -> None:
    told("keys", "create", "--account", "bob")
    status, made = told("backup", str(tmp_path / "backup"))
    assert (status, made["missing"], made["size"]) == (0, [], (tmp_path / "backup").stat().st_size)
    config.write_text(config.read_text().replace(str(tmp_path / "store"), str(tmp_path / "other")))
    status, restored = told("restore", str(tmp_path / "backup"))
    assert (status, restored["restored_to"], restored["members"]) == (0, str(tmp_path / "other"), made["members"])
    status, again = told("restore", str(tmp_path / "backup"))
    assert (status, again["request_info"]["success"]) == (2, False)


def test_sealing_keys_are_told(told: Told) -> None:
    told("keys", "create", "--account", "bob")
    status, now = told("secrets", "rotate")
    assert status == 0
    assert [key["current"] for key in now["keys"]] == [True, False]
    assert told("secrets", "status")[1] == now
    assert told("secrets", "rotate", "--new", "--resume")[0] == 2


def test_settings_are_told_with_their_sources_and_without_secrets(told: Told) -> None:
    settings = told("config")[1]
    assert settings["server"]["port"] == {"value": 0, "source": "file"}
    assert settings["limits"]["headers"]["source"] == "default"
    assert settings["accounts"]["fixed"]["value"] == [{"name": "ann", "api_key": "***"}]


def test_a_checked_destination_is_told(told: Told, tmp_path: Path, swift: StorageServer) -> None:
    fields = {
        "type": "s3compatible",
        "s3_endpoint": swift.url,
        "s3_access_key_id": "test:tester",
        "s3_secret_access_key": swift.users["test:tester"],
        "s3_bucket_name": "demo-bucket",
    }
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(fields))
    status, report = told("check", str(file))
    assert (status, report["connectivity"]["ok"]) == (0, True)
    file.write_text(json.dumps({**fields, "s3_bucket_name": "no-such-bucket"}))
    status, report = told("check", str(file))
    assert (status, report["connectivity"]["steps"][-1]["code"]) == (1, "bucket_not_found")
    file.write_text(json.dumps(WRONG))
    for command in ("check", "policy"):
        status, refused = told(command, str(file))
        assert (status, refused["request_info"]["code"]) == (2, "invalid_request")
        assert "s3_bucket_name" in refused["errors"]
    file.write_text(json.dumps({**WRONG, "s3_bucket_name": "my-bucket"}))
    assert told("policy", str(file))[1]["policy"]["Version"] == "2012-10-17"
    assert told("policy", str(tmp_path / "none"))[1]["request_info"]["code"] == "invalid_request"


def test_whether_a_service_is_ready_is_told(told: Told, config: Path) -> None:
    with serving(config) as server:
        status, health = told("health", "--url", server.url)
        assert (status, health) == (0, {"url": server.url, "ready": True, "problem": None})
    status, health = told("health", "--url", server.url)
    assert (status, health["ready"]) == (1, False)


def test_where_a_service_answers_is_told(config: Path) -> None:
    command = [sys.executable, "-m", "consignee", "serve", "--json", "--console", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(60) == 0
    assert ready["url"].startswith("http://127.0.0.1:")
    assert ready["console"].startswith(f"{ready['url']}/console/#login=")
