"""The servers that many tests share; each is started once, when the first test asks for it."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from consignee.demo.storage import Program, StorageServer, storage_process
from fakes import moto_iam as moto_program
from fakes.certificates import Authority

SWIFT_USERS = {"test:tester": "testing", "test:nodelete": "testing2", "other:owner": "testing3"}


@dataclass(frozen=True)
class PolicyServer:
    """moto with its access rules on: `users` maps writer, nodelete and nobody to (access key id, secret).

    `server` is for looking into it; there a user is named by its access key id.
    """

    url: str
    region: str
    bucket: str
    users: Mapping[str, tuple[str, str]]
    server: StorageServer


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only the tests trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def swift(ca: Authority) -> Iterator[StorageServer]:
    """An S3 server that checks everything, plain and TLS; `demo-bucket` and `dotted.bucket` are test's."""
    with storage_process(SWIFT_USERS, nodelete=["test:nodelete"], certificate=(ca.cert, ca.key)) as server:
        for bucket in ("demo-bucket", "dotted.bucket"):
            server.checked("test:tester", "PUT", f"/{bucket}")
        yield server


@pytest.fixture(scope="session")
def swift_eu() -> Iterator[StorageServer]:
    """The same in the region eu-west-1, without TLS, with a `demo-bucket`."""
    with storage_process(SWIFT_USERS, nodelete=["test:nodelete"], region="eu-west-1") as server:
        server.checked("test:tester", "PUT", "/demo-bucket")
        yield server


@pytest.fixture(scope="session")
def moto_iam() -> Iterator[PolicyServer]:
    """An S3 server with policies: writer may do all, nodelete all but DeleteObject, nobody nothing."""
    program = Program([sys.executable, "-P", str(Path(moto_program.__file__))])
    try:
        url = program.ready()["url"]
        server = StorageServer(url, None, moto_program.REGION, dict(moto_program.USERS.values()))
        yield PolicyServer(url, server.region, moto_program.BUCKET, moto_program.USERS, server)
    finally:
        program.stop()
