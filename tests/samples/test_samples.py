"""Clients as users of such an API have them, in four languages, against a running server: the exact shapes they know."""

import re
from collections.abc import Iterator
from itertools import product

import pytest

from consignee.demo.storage import StorageServer, storage_process

from .programs import PROGRAMS, answers
from .serving import Serving, serving, write_config
from .shapes import as_text, expected, settled

USER = "test:tester"
SECRET = "a+b/c=d&e%f"
BUCKET = "demo-bucket"
RUNS = list(product(PROGRAMS, ("form", "json")))
"""Each client, with each form of bodies, has an account of its own."""


@pytest.fixture(scope="module")
def storage() -> Iterator[StorageServer]:
    """An S3 server for which nothing but the very secret will do."""
    with storage_process({USER: SECRET}) as server:
        server.checked(USER, "PUT", f"/{BUCKET}")
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The service, with an account for each run."""
    accounts = {name: f"key-of-{name}" for name in map("-".join, RUNS)}
    with serving(write_config(tmp_path_factory.mktemp("samples"), accounts=accounts)) as server:
        yield server
        assert server.stop() == 0
        assert server.log.read_text() == ""


@pytest.mark.parametrize(("language", "bodies"), RUNS)
async def test_a_client_gets_exactly_the_shapes_it_knows(
    language: str, bodies: str, server: Serving, storage: StorageServer
) -> None:
    """So what all clients get is equal, but for ids and times. The storage has checked the secret as it arrived."""
    output = PROGRAMS[language].output(bodies, _variables(f"{language}-{bodies}", server, storage))
    found = answers(output)
    trace_ids = [answer.pop("trace_id") for answer in found.values()]
    assert all(re.fullmatch(r"[0-9a-f]{32}", trace_id) for trace_id in trace_ids)
    assert len(set(trace_ids)) == len(trace_ids)
    assert as_text(settled(found)) == as_text(expected(endpoint=storage.url, bucket=BUCKET))
    assert SECRET not in output
    assert USER not in output
    assert await storage.keys(USER, BUCKET) == []


async def test_a_failed_update_leaves_everything_as_it_was(server: Serving, storage: StorageServer) -> None:
    found = answers(PROGRAMS["python"].output("json", _variables("python-json", server, storage)))
    assert found["wrong-secret"]["status"] == 400
    assert found["unchanged"]["body"]["destinations"] == [found["enable"]["body"]["destination"]]


def test_the_answer_to_a_deletion_is_the_same_to_the_byte(server: Serving, storage: StorageServer) -> None:
    """The client with curl prints the bytes of the answer as they are."""
    output = PROGRAMS["curl"].output("form", _variables("curl-form", server, storage))
    assert '"body":{"request_info":{"success":true,"message":"1 Destination deleted"}}}\n' in output


def _variables(account: str, server: Serving, storage: StorageServer) -> dict[str, str]:
    return {
        "API_URL": server.url,
        "API_KEY": f"key-of-{account}",
        "S3_ENDPOINT": storage.url,
        "S3_ACCESS_KEY_ID": USER,
        "S3_SECRET_ACCESS_KEY": SECRET,
        "S3_BUCKET": BUCKET,
    }
