"""`consignee deliver` as its users run it: a real service, a real storage, real files."""

import json
from pathlib import Path

import pytest

from commands.customer import KEY, USER, Customer, command, ended, succeeded
from samples.serving import write_config


def test_files_reach_every_destination_that_is_enabled(customer: Customer, tmp_path: Path) -> None:
    """A disabled one is told of, and is no failure."""
    bucket, other = customer.bucket(), customer.bucket()
    ids = [
        customer.destination(bucket, name="First"),
        customer.destination(other, name="Second"),
        customer.destination(other, name="Off", enabled=False),
    ]
    collection = customer.collection("Reports", *ids)
    contents = {'Größen & "b".csv': b"\xff" * 2_000_000, "empty": b"", "a+b%20.txt": b"x"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    done = customer.deliver("--collection", "Reports", *(tmp_path / name for name in contents))
    assert done.returncode == 0, done.stderr
    assert f"result set 1 of collection {collection}: 3 files, 2.0 MB\n" in done.stdout
    assert "First: success, 3 of 3 files\nSecond: success, 3 of 3 files\nOff: skipped, 0 of 3 files: " in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    for place in (bucket, other):
        for name, content in contents.items():
            assert customer.storage.checked(USER, "GET", f"/{place}/1/{name}").body == content


def test_a_failed_delivery_is_status_1_and_says_why(customer: Customer, file: Path) -> None:
    gone, there = customer.bucket(), customer.bucket()
    ids = [customer.destination(gone, name="Gone"), customer.destination(there, name="There")]
    customer.collection("Half", *ids)
    customer.storage.checked(USER, "DELETE", f"/{gone}")
    done = customer.deliver("--collection", "Half", file)
    assert done.returncode == 1
    assert "Gone: failed, 0 of 1 files: There is no such bucket." in done.stdout
    assert "There: success, 1 of 1 files\n" in done.stdout


async def test_without_waiting_the_files_are_delivered_all_the_same(customer: Customer, file: Path) -> None:
    bucket = customer.bucket()
    collection = customer.collection("Unwatched", customer.destination(bucket))
    done = customer.deliver("--collection", collection, "--no-wait", file)
    assert (done.returncode, done.stdout) == (0, f"result set 1 of collection {collection}: 1 file, 7 bytes\n")
    await succeeded(customer, collection)
    assert customer.storage.checked(USER, "GET", f"/{bucket}/1/file.txt").body == b"content"


def test_programs_are_told_in_json_what_became_of_it(customer: Customer, file: Path) -> None:
    """Standard output is one document; progress goes elsewhere."""
    collection = customer.collection("Told", customer.destination(customer.bucket()))
    done = customer.deliver("--collection", "Told", "--json", file)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    told = json.loads(done.stdout)
    assert (told["collection_id"], told["result"]["id"]) == (collection, 1)
    assert [one["status"] for one in told["result"]["destination_status"].values()] == ["success"]
    unwatched = customer.deliver("--collection", "Told", "--json", "--no-wait", file)
    assert json.loads(unwatched.stdout)["result"]["files"][0]["name"] == "file.txt"
    refused = customer.deliver("--collection", "Nobody knows", "--json", file)
    assert (refused.returncode, refused.stderr) == (2, "")
    assert json.loads(refused.stdout)["request_info"]["code"] == "not_found"


def test_a_name_that_several_collections_have_is_refused_with_their_ids(customer: Customer, file: Path) -> None:
    ids = [customer.collection("Twice") for _ in range(2)]
    done = customer.deliver("--collection", "Twice", file)
    assert done.returncode == 2
    assert all(id_ in done.stderr for id_ in ids)
    assert customer.deliver("--collection", ids[1], file).returncode == 0
    assert [customer.ask("GET", f"/collections/{id_}")["collection"]["results_count"] for id_ in ids] == [0, 1]


def test_an_unknown_collection_is_refused(customer: Customer, file: Path) -> None:
    done = customer.deliver("--collection", "No\x1b[31mne", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no collection" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("what", ["absent", "directory", "repeated", "device", "bad name"])
def test_what_is_no_file_is_refused_before_anything_is_sent(customer: Customer, file: Path, what: str) -> None:
    (file.parent / "nested").mkdir()
    (file.parent / "nested" / file.name).touch()
    (file.parent / "back\\slash").touch()
    wrong = {
        "absent": (file.parent / "absent", "absent"),
        "directory": (file.parent, "is a directory"),
        "repeated": (file.parent / "nested" / file.name, "repeats"),
        "device": (Path("/dev/null"), "not a file"),
        "bad name": (file.parent / "back\\slash", "backslash"),
    }
    collection = customer.collection(f"Untouched, {what}")
    done = customer.deliver("--collection", collection, file, wrong[what][0])
    assert (done.returncode, done.stdout) == (2, "")
    assert wrong[what][1] in done.stderr
    assert customer.ask("GET", f"/collections/{collection}")["collection"]["results_count"] == 0


def test_what_the_service_refuses_is_status_2_with_its_reason(customer: Customer, tmp_path: Path) -> None:
    fields = {"name": "Listed", "destination_ids": [], "manifest": True}
    collection = customer.ask("POST", "/collections", fields)["collection"]["id"]
    reserved = tmp_path / "_manifest.json"
    reserved.touch()
    done = customer.deliver("--collection", collection, reserved)
    assert (done.returncode, done.stdout) == (2, "")
    assert "reserved" in done.stderr


def test_a_collection_without_destinations_is_told(customer: Customer, file: Path) -> None:
    done = customer.deliver("--collection", customer.collection("Nowhere"), file)
    assert done.returncode == 0
    assert "no destinations" in done.stdout


def test_the_key_comes_from_a_file_or_from_standard_input(customer: Customer, file: Path, tmp_path: Path) -> None:
    collection = customer.collection("Keys")
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    given = ("--url", customer.service.url, "--collection", collection, "--no-wait", file)
    assert ended(command("--key-file", key_file, *given)).returncode == 0
    assert ended(command("--key-file", "-", *given), stdin=f"{KEY}\n").returncode == 0
    unknown = ended(command("--key-file", "-", *given), stdin="another-key\n")
    assert unknown.returncode == 2
    assert "key" in unknown.stderr and "another-key" not in unknown.stderr


@pytest.mark.parametrize("text", ["", "two words", "ä", "\x00"])
def test_what_is_no_key_is_refused_and_not_repeated(customer: Customer, file: Path, tmp_path: Path, text: str) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(text)
    done = ended(command("--url", customer.service.url, "--key-file", key_file, "--collection", "x", file))
    assert done.returncode == 2
    assert done.stderr == f"consignee: {key_file} must hold an API key, and nothing else\n"


def test_without_a_single_account_in_the_settings_a_key_is_asked_for(file: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, accounts={"ann": KEY, "bob": "another-key"})
    for given in ((), ("--config", config)):
        done = ended(command("--url", "http://127.0.0.1:9", *given, "--collection", "x", file))
        assert done.returncode == 2
        assert "--key-file" in done.stderr


def test_the_service_is_where_the_settings_say(customer: Customer, file: Path, tmp_path: Path) -> None:
    collection = customer.collection("Settled")
    config = tmp_path / "config.toml"
    config.write_text(customer.config.read_text())
    open_port = ended(command("--config", config, "--collection", collection, file))
    assert open_port.returncode == 2
    assert "--url" in open_port.stderr
    port = customer.service.url.rpartition(":")[2]
    config.write_text(config.read_text().replace("port = 0", f'host = "0.0.0.0"\nport = {port}'))
    assert ended(command("--config", config, "--collection", collection, file)).returncode == 0


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://host", "http://", "http://ann:pw@host", "http://host/?x=1"])
def test_a_url_that_is_none_is_refused_and_no_password_repeated(customer: Customer, file: Path, url: str) -> None:
    done = ended(command("--config", customer.config, "--url", url, "--collection", "x", file))
    assert done.returncode == 2
    assert "--url" in done.stderr
    assert "pw" not in done.stderr


def test_no_service_is_status_2(customer: Customer, file: Path) -> None:
    done = ended(command("--config", customer.config, "--url", "http://127.0.0.1:9", "--collection", "x", file))
    assert done.returncode == 2
    assert done.stderr.startswith("consignee: the service at http://127.0.0.1:9 can't be reached")


def test_without_a_file_the_usage_is_shown() -> None:
    done = ended(command("--collection", "x"))
    assert done.returncode == 2
    assert "usage:" in done.stderr
