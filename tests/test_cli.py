"""The command, as its users run it: real processes, real files."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consignee import __version__
from consignee.demo.storage import StorageServer

KEY = "canary-api-key"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a store of its own."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[store]\npath = "{tmp_path}/var"\n[secrets]\nkey_file = "{tmp_path}/var/secret.key"\n'
        f'[egress]\nallow = ["127.0.0.1/32:*"]\nallow_http = true\n'
        f'[[accounts.fixed]]\nname = "ann"\napi_key = "{KEY}"\n'
    )
    return path


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "consignee", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def server(config: Path) -> Iterator[str]:
    """The URL of a running server with that configuration."""
    command = [
        sys.executable,
        "-m",
        "consignee",
        "serve",
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()
        assert process.wait(30) == 0


def test_it_says_its_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"consignee {__version__}\n")


def test_without_a_command_it_says_what_there_is() -> None:
    done = run()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_the_settings_are_shown_without_secrets(config: Path) -> None:
    done = run("config", "--config", config)
    assert done.returncode == 0
    assert "127.0.0.1/32:*" in done.stdout
    assert KEY not in done.stdout


def test_a_wrong_setting_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\nprot = 1\n")
    done = run("serve", "--config", path)
    assert done.returncode == 2
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_refused_in_one_line(server: str, config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(config.read_text().replace("/var", "/other"))
    done = run("serve", "--config", other, "--port", server.rpartition(":")[2])
    assert done.returncode == 2
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [(["worker"], "store.url"), (["serve", "--no-worker"], "store.url"), (["worker", "--host", "127.0.0.1"], "--port")],
    ids=["worker", "serve", "host"],
)
def test_deliveries_are_left_to_others_only_on_a_store_that_is_shared(
    arguments: list[str], missing: str, config: Path
) -> None:
    """And a worker listens only if it is told where."""
    done = run(*arguments, "--config", config)
    assert done.returncode == 2
    assert missing in done.stderr
    assert "Traceback" not in done.stderr


def keys_work(config: Path) -> None:
    """Create, list and revoke a key."""
    created = run("keys", "create", "--account", "bob", "--config", config)
    assert created.returncode == 0, created.stderr
    key = created.stdout.strip()
    listed = run("keys", "list", "--config", config)
    id_ = key.split("_")[1]
    assert listed.stdout.split()[:2] == [id_, "bob"]
    assert key not in listed.stdout
    assert run("keys", "revoke", id_, "--config", config).stdout == f"revoked {id_}\n"
    assert run("keys", "list", "--config", config).stdout == ""
    again = run("keys", "revoke", id_, "--config", config)
    assert again.returncode == 2
    assert "Traceback" not in again.stderr


def test_keys_are_managed_without_a_server(config: Path) -> None:
    keys_work(config)


def test_keys_are_managed_while_the_server_runs(config: Path, server: str) -> None:
    keys_work(config)


def test_a_key_works_as_soon_as_it_is_made_and_no_longer_than_until_it_is_revoked(config: Path, server: str) -> None:
    import requests

    key = run("keys", "create", "--account", "bob", "--config", config).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{server}/account", headers=headers, timeout=10).status_code == 200
    run("keys", "revoke", key.split("_")[1], "--config", config)
    assert requests.get(f"{server}/account", headers=headers, timeout=10).status_code == 401


def test_a_key_made_before_the_first_start_is_no_hindrance(config: Path) -> None:
    assert run("keys", "create", "--account", "bob", "--config", config).returncode == 0
    command = [sys.executable, "-m", "consignee", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.terminate()


def test_an_account_needs_a_proper_name(config: Path, server: str) -> None:
    done = run("keys", "create", "--account", "a/b", "--config", config)
    assert done.returncode == 2
    assert "account" in done.stderr


def test_the_control_socket_is_the_owners_alone_also_under_a_long_path(config: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    config.write_text(config.read_text().replace(f"{tmp_path}/var", f"{deep}/var"))
    command = [sys.executable, "-m", "consignee", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mode = os.stat(deep / "var" / "control.sock").st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        keys_work(config)
        process.terminate()


def test_a_destination_is_checked_without_a_server(config: Path, tmp_path: Path, swift: StorageServer) -> None:
    fields = {
        "type": "s3compatible",
        "s3_endpoint": swift.url,
        "s3_access_key_id": "test:tester",
        "s3_secret_access_key": swift.users["test:tester"],
        "s3_bucket_name": "demo-bucket",
    }
    file = tmp_path / "destination.json"
    file.write_text(json.dumps(fields))
    done = run("check", file, "--config", config)
    assert done.returncode == 0, done.stderr
    assert "upload   ok" in done.stdout
    assert not (tmp_path / "var").exists()
    wrong = run("check", "-", "--config", config, stdin=json.dumps({**fields, "s3_secret_access_key": "canary secret"}))
    assert wrong.returncode == 1
    assert "credentials_rejected" in wrong.stdout
    assert "space" in wrong.stdout
    assert "canary" not in wrong.stdout + wrong.stderr


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "s3"}', '{"type": "x"}', "[" * 100_000])
def test_a_file_that_describes_no_destination_is_status_2(config: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "destination.json"
    file.write_text(content)
    done = run("check", file, "--config", config)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_status_2(config: Path, tmp_path: Path) -> None:
    done = run("check", tmp_path / "none.json", "--config", config)
    assert done.returncode == 2
    assert "none.json" in done.stderr


def test_the_demo_says_what_it_needs(tmp_path: Path) -> None:
    done = run("demo", "--once", "--config", tmp_path / "none.toml")
    assert done.returncode == 2
    assert "--config" in done.stderr


def test_the_tour_goes_as_it_should() -> None:
    config = Path(__file__).parent.parent / "config" / "development.toml"
    done = run("demo", "--once", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The tour went as it should." in done.stdout
    assert "as expected: every delivery succeeded" in done.stdout
    assert re.search(r"kill -9 [0-9]+\n", done.stdout)
    assert re.search(r"Attempt 2 failed: .*\n.*interrupted.*\n.*Delivered: 4 files", done.stdout)
    assert "NOT AS EXPECTED" not in done.stdout
    assert "a+secret" not in done.stdout + done.stderr


def test_the_tour_leaves_the_server_running_until_it_is_ended() -> None:
    import requests

    config = Path(__file__).parent.parent / "config" / "development.toml"
    command = [sys.executable, "-m", "consignee", "demo", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "is running at" in line)
        url = next(word for word in line.split() if word.startswith("http://"))
        answer = requests.get(f"{url}/destinations", params={"api_key": "demo"}, timeout=10)
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0
    names = [one["name"] for one in answer.json()["destinations"]]
    assert names[0] == "From JSON"
    assert {"My gcs", "My s3", "My s3compatible"} <= set(names)


def test_the_smallest_policy_is_printed(config: Path) -> None:
    fields = {"type": "s3", "s3_access_key_id": "k", "s3_secret_access_key": "canary", "s3_bucket_name": "my-bucket"}
    done = run("policy", "-", "--config", config, stdin=json.dumps(fields))
    assert (done.returncode, "canary" in done.stdout) == (0, False)
    assert json.loads(done.stdout)["Statement"][0]["Resource"] == "arn:aws:s3:::my-bucket/*"
    wrong = run("policy", "-", "--config", config, stdin='{"type": "s3"}')
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "s3_bucket_name" in wrong.stderr


@pytest.mark.parametrize("given", [["--host", ""], ["--port", "99999"], ["--port", "-1"]])
def test_a_wrong_flag_is_refused_like_a_wrong_setting(config: Path, given: list[str]) -> None:
    """An empty host would listen everywhere."""
    done = run("serve", "--config", config, *given)
    assert done.returncode == 2
    assert given[0] in done.stderr
    assert "Traceback" not in done.stderr
