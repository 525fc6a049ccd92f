"""What docs/operations.md has an operator tell the database is carried out by one."""

import re
from typing import Final

import pytest

from consignee.secret import Secret
from pages import blocks
from postgres.cluster import ROLE, Cluster

PAGE: Final = "docs/operations.md"
STATEMENTS: Final = [one for page, code in blocks("sql") if page == PAGE for one in code.splitlines()]


def test_there_are_statements_of_all_kinds() -> None:
    assert {one.split()[0] for one in STATEMENTS} == {"CREATE", "ALTER", "SELECT"}


@pytest.mark.parametrize("statement", [one for one in STATEMENTS if one.startswith("SELECT")])
def test_a_question_is_answered_by_the_tables_that_there_are(statement: str, cluster: Cluster, url: Secret) -> None:
    """The role of the service may ask it, too: nothing of it needs another right."""
    name = url.reveal().rpartition("/")[2]

    assert re.search(r" FROM \w+", statement)
    cluster.sql(f"SET ROLE {ROLE}; {statement}", database=name)


def test_the_role_and_the_database_are_made(cluster: Cluster) -> None:
    made = [one.replace(ROLE, "of_the_page") for one in STATEMENTS if one.startswith("CREATE")]

    cluster.sql("\n".join(made))
    try:
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'of_the_page'"
        assert cluster.sql(owner) == "of_the_page"
    finally:
        cluster.sql("DROP DATABASE of_the_page; DROP ROLE of_the_page".replace("; ", ";\n"))


def test_the_standbys_are_named_as_the_server_wants_it(cluster: Cluster) -> None:
    """It is checked when it is set, and in force only after a reload, which nobody does here."""
    (statement,) = [one for one in STATEMENTS if one.startswith("ALTER")]
    try:
        cluster.sql(statement)
    finally:
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
