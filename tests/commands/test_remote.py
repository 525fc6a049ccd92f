"""The commands for destinations, collections, result sets and deliveries, as their users run them, on a real service."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commands.customer import KEY, SECONDS, USER, Customer, run_command, succeeded
from samples.serving import environment


@pytest.fixture
def fields(customer: Customer, swift_bucket: str) -> dict[str, Any]:
    """The fields of a destination that works."""
    return customer.fields(swift_bucket)


def test_a_destination_is_created_listed_shown_changed_and_deleted(customer: Customer, fields: dict[str, Any]) -> None:
    """By its id or its name; secrets come in by standard input, and never out."""
    made = customer.run("destinations", "create", "-", stdin=json.dumps({**fields, "name": "Created"}))
    assert made.returncode == 0, made.stderr
    id_ = made.stdout.split()[1]
    assert "secrets_set" in made.stdout
    listed = customer.run("destinations", "list", "--search-term", "Created")
    head, row = listed.stdout.splitlines()
    assert head.split()[:4] == ["ID", "NAME", "TYPE", "ENABLED"]
    assert row.split() == [id_, "Created", "s3compatible", "yes", "ok", "ok", "0"]
    assert "last_test" in customer.run("destinations", "show", "Created").stdout
    off = customer.run("destinations", "disable", "Created")
    assert "\nenabled         no\n" in off.stdout
    assert customer.run("destinations", "list", "--enabled", "false", "--type", "s3compatible").stdout.count(id_) == 1
    assert customer.run("destinations", "enable", id_).returncode == 0
    renamed = customer.run("destinations", "update", id_, "-", stdin='{"name": "Changed", "s3_secret_access_key": ""}')
    assert "Changed" in renamed.stdout
    assert customer.run("destinations", "policy", "Changed", "--json").returncode == 0
    refused = customer.run("destinations", "delete", "Changed")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    assert customer.run("destinations", "delete", "Changed", "--yes").stdout == f"deleted {id_}\n"
    gone = customer.run("destinations", "show", "Changed")
    assert (gone.returncode, gone.stderr) == (2, "consignee: there is no destination 'Changed'\n")


def test_what_does_not_work_is_status_1_with_its_steps_and_a_hint(customer: Customer, fields: dict[str, Any]) -> None:
    wrong = json.dumps({**fields, "s3_secret_access_key": "wrong secret"})
    done = customer.run("destinations", "create", "-", stdin=wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert "upload   credentials_rejected" in done.stderr
    assert "hint: " in done.stderr
    assert "wrong secret" not in done.stderr
    told = customer.run("destinations", "create", "-", "--json", stdin=wrong)
    assert (told.returncode, told.stderr) == (1, "")
    answer = json.loads(told.stdout)
    assert answer["request_info"]["code"] == "credentials_rejected"
    assert answer["connectivity"]["ok"] is False
    tested = customer.run("destinations", "test", "--fields", "-", stdin=wrong)
    assert tested.returncode == 1
    both = customer.run("destinations", "test", "Mine", "--fields", "-", stdin=wrong)
    assert (both.returncode, both.stdout, "name none beside them" in both.stderr) == (2, "", True)


def test_wrong_fields_are_status_2_and_named(customer: Customer, fields: dict[str, Any]) -> None:
    wrong = json.dumps({**fields, "s3_bucket_name": "", "enabled": "perhaps"})
    done = customer.run("destinations", "create", "-", stdin=wrong)
    assert done.returncode == 2
    assert "\nenabled: must be true or false\n" in done.stderr
    assert "\ns3_bucket_name: " in done.stderr
    told = json.loads(customer.run("destinations", "create", "-", "--json", stdin=wrong).stdout)
    assert told["errors"].keys() == {"enabled", "s3_bucket_name"}


def test_destinations_are_tested_one_by_one_or_all_and_a_bad_one_is_status_1(
    customer: Customer, fields: dict[str, Any]
) -> None:
    """With --json, in a line for each."""
    bucket = customer.bucket()
    good, bad = customer.destination(fields["s3_bucket_name"], name="Good"), customer.destination(bucket, name="Bad")
    customer.storage.checked(USER, "DELETE", f"/{bucket}")
    assert customer.run("destinations", "test", "Good").stdout == f"{good}  Good: ok\n"
    done = customer.run("destinations", "test", good, "Bad")
    assert done.returncode == 1
    assert f"{bad}  Bad: does not work\n" in done.stdout
    assert "\n  upload   bucket_not_found" in done.stdout
    lines = customer.run("destinations", "test", "--json", "Good", "Bad").stdout.splitlines()
    assert {one["id"]: one["ok"] for one in map(json.loads, lines)} == {good: True, bad: False}
    assert customer.run("destinations", "test", "None").returncode == 2
    every = customer.run("destinations", "test")
    assert every.returncode == 1 and good in every.stdout and bad in every.stdout
    assert customer.run("destinations", "delete", "--yes", "Bad").returncode == 0


async def test_result_sets_and_deliveries_are_listed_shown_and_sent_again(
    customer: Customer, fields: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    destination = customer.destination(fields["s3_bucket_name"], name="Target")
    made = customer.run(
        "collections", "create", "-", stdin=json.dumps({"name": "Seen again", "destination_ids": [destination]})
    )
    collection = made.stdout.split()[1]
    assert customer.run("collections", "show", "Seen again").stdout == made.stdout
    assert customer.deliver("--collection", "Seen again", file).returncode == 0
    assert f"\n{'1':6}  " in customer.run("results", "list", "Seen again").stdout
    shown = customer.run("results", "show", "Seen again", "1")
    assert "file.txt" in shown.stdout and "1/1" in shown.stdout
    delivery = json.loads(customer.run("deliveries", "list", "--collection", collection, "--json").stdout)[
        "deliveries"
    ][0]
    rows = customer.run("deliveries", "list", "--destination", "Target", "--status", "success").stdout.splitlines()
    assert rows[1].startswith(f"{delivery['id']}  success  1/1")
    assert "1/file.txt" in customer.run("deliveries", "show", delivery["id"]).stdout
    place = f"/{fields['s3_bucket_name']}/1/file.txt"
    for again in (
        ("deliveries", "resend", delivery["id"]),
        ("results", "resend", "Seen again", "1"),
        ("results", "resend", collection, "1", "--destination", "Target"),
    ):
        customer.storage.checked(USER, "DELETE", place)
        assert customer.run(*again).returncode == 0
        await succeeded(customer, collection)
        assert customer.storage.checked(USER, "GET", place).body == b"content"
    assert (
        customer.run("destinations", "resend", "Target", "--since", "2000-01-01").stdout
        == "0 deliveries are made again\n"
    )
    into = tmp_path / "into"
    into.mkdir()
    saved = customer.run("results", "download", "Seen again", "1", "--directory", str(into))
    assert saved.stdout == f"{into / 'file.txt'}\n"
    assert [path.name for path in into.iterdir()] == ["file.txt"]
    assert (into / "file.txt").read_bytes() == b"content"
    twice = customer.run("results", "download", "Seen again", "1", "file.txt", "--directory", str(into))
    assert (twice.returncode, "is there already" in twice.stderr) == (2, True)
    assert customer.run("results", "download", "Seen again", "1", "none").returncode == 2
    assert customer.run("collections", "update", "Seen again", "-", stdin='{"name": "New"}').returncode == 0
    assert customer.run("collections", "delete", "New", "--yes").returncode == 0
    assert collection not in customer.run("collections", "list").stdout


def test_a_field_that_a_collection_has_not_is_refused(customer: Customer) -> None:
    for content in ('{"name": "x", "destinations": []}', '{"name": "x", "destination_ids": "A"}', "[]"):
        done = customer.run("collections", "create", "-", stdin=content)
        assert done.returncode == 2, content


def test_somebody_at_a_terminal_is_asked_before_anything_is_deleted(customer: Customer) -> None:
    id_ = customer.collection("Asked for")
    for said, status in ((b"n\n", 2), (b"\n", 2), (b"y\n", 0)):
        master, slave = pty.openpty()
        try:
            os.write(master, said)
            done = subprocess.run(
                customer.arguments("collections", "delete", id_),
                stdin=slave, capture_output=True, text=True, timeout=SECONDS, env=environment(), check=False,
            )  # fmt: skip
        finally:
            os.close(master)
            os.close(slave)
        assert done.returncode == status, done.stderr
        assert f"delete the collection 'Asked for' ({id_}) with its result sets? [y/N] " in done.stderr


COMMANDS = (
    ("destinations", "list"),
    ("destinations", "types"),
    ("collections", "list"),
    ("deliveries", "list", "--limit", "3"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_json_is_one_document(customer: Customer, command: tuple[str, ...]) -> None:
    done = customer.run(*command, "--json")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    (name,) = json.loads(done.stdout)
    assert name in ("destinations", "destination_types", "collections", "deliveries")
    assert customer.run(*command).stdout.split()[0] in ("ID", "TYPE")


def test_url_and_key_come_from_the_environment_too(customer: Customer, tmp_path: Path) -> None:
    """Of a key, the name of its file is best: the environment is passed on to whatever is started."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    own = {"CONSIGNEE_CLIENT__URL": customer.service.url, "CONSIGNEE_CLIENT__API_KEY_FILE": str(tmp_path / "key")}
    assert run_command("collections", "list", environ=own).returncode == 0
    wrong = run_command(
        "collections", "list", environ={**own, "CONSIGNEE_CLIENT__API_KEY_FILE": str(tmp_path / "none")}
    )
    assert wrong.returncode == 2
    by_option = run_command("collections", "list", "--key-file", str(tmp_path / "key"), "--url", customer.service.url)
    assert by_option.returncode == 0
    nothing = run_command("collections", "list", "--json")
    assert nothing.returncode == 2
    assert "--key-file" in json.loads(nothing.stdout)["request_info"]["message"]


def test_wrong_usage_is_json_too_if_it_is_asked_for(customer: Customer) -> None:
    done = run_command("destinations", "explode", "--json")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["request_info"]["code"] == "invalid_request"
    plain = run_command("destinations", "explode")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr.startswith("usage: consignee destinations ")


def test_what_a_name_holds_does_not_steer_the_terminal(customer: Customer) -> None:
    customer.collection("\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}odd")
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in customer.run("collections", "list").stdout
