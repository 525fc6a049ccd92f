"""The commands where input or output are not as usual: closed, full, unread, or of few letters."""

import os
import subprocess
from pathlib import Path

import pytest

from commands.customer import SECONDS, Customer, ended, run_command
from consignee.commands.output import printable, table
from samples.serving import environment

NAME = "Größen 顧客\N{IDEOGRAPHIC SPACE}データ"


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["plain", "json"])
@pytest.mark.parametrize("command", [("collections", "list"), ("collections", "show", "none")], ids=" ".join)
def test_who_has_read_enough_is_not_told_of_an_error(
    customer: Customer, command: tuple[str, ...], json: tuple[str, ...]
) -> None:
    """As with `head`, whose end other commands take for granted."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            customer.arguments(*command, *json), stdout=writer, stderr=subprocess.PIPE, text=True, timeout=SECONDS,
            env=environment(), check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    expected = (141, "") if json or command[1] == "list" else (2, "consignee: there is no collection 'none'\n")
    assert (done.returncode, done.stderr) == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_output_that_is_full_is_told_of_elsewhere(customer: Customer) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            customer.arguments("collections", "list", "--json"), stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=SECONDS, env=environment(), check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "consignee: No space left on device\n")


def test_without_a_standard_input_nothing_is_read_from_it_and_nobody_is_asked(customer: Customer) -> None:
    id_ = customer.collection("Not asked for")
    for command, told in (
        (("collections", "delete", id_), "--yes"),
        (("collections", "create", "-"), "standard input is closed"),
        (("collections", "list", "--key-file", "-"), "standard input is closed"),
    ):
        done = ended(["sh", "-c", 'exec "$@" <&-', "sh", *customer.arguments(*command)])
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_name_is_printed_where_its_letters_are_not(customer: Customer) -> None:
    id_ = customer.collection(NAME)
    listed = ended(customer.arguments("collections", "show", id_), environ={"PYTHONIOENCODING": "ascii"})
    assert (listed.returncode, "Gr\\xf6\\xdfen \\u9867" in listed.stdout) == (0, True)


def test_a_table_is_straight_where_letters_are_wide() -> None:
    rows = [(NAME, 1), ("e\N{COMBINING ACUTE ACCENT}", 2), ("plain", 3)]
    assert table(("NAME", "N"), rows) == [
        f"NAME{' ' * 15}  N",
        f"{NAME}  1",
        f"e\N{COMBINING ACUTE ACCENT}{' ' * 18}  2",
        f"plain{' ' * 14}  3",
    ]
    assert printable(f"{NAME}\x1b[31m\N{LINE SEPARATOR}") == f"{NAME}\ufffd[31m\ufffd"


def test_what_can_be_no_id_and_no_number_is_refused(customer: Customer) -> None:
    for id_ in ("", ".", ".."):
        done = customer.run("deliveries", "show", id_)
        assert (done.returncode, done.stderr) == (2, f"consignee: there is no delivery {id_!r}\n")
    for limit in ("0", "-1", "many"):
        done = customer.run("deliveries", "list", f"--limit={limit}")
        assert (done.returncode, f"must be a number from 1 on, not '{limit}'" in done.stderr) == (2, True)


def test_a_file_that_is_named_twice_is_saved_once(customer: Customer, file: Path, tmp_path: Path) -> None:
    id_ = customer.collection("Named twice")
    assert customer.deliver("--collection", id_, file).returncode == 0
    done = customer.run("results", "download", id_, "1", file.name, file.name, "--directory", str(tmp_path / "into"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'into' / file.name}\n")


def test_where_the_service_is_may_end_in_a_slash_and_must_be_a_place(customer: Customer) -> None:
    own = {"CONSIGNEE_CLIENT__URL": f"{customer.service.url}/"}
    assert run_command("health", environ=own).stdout == f"{customer.service.url}: ready\n"
    done = run_command("health", environ={"CONSIGNEE_CLIENT__URL": "http://a..b"})
    assert (done.returncode, done.stderr.startswith("consignee: client.url must be an http")) == (2, True)
