"""One service for all tests of the commands that need one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.customer import Customer, customer_of
from consignee.demo.storage import StorageServer


@pytest.fixture(scope="package")
def customer(swift: StorageServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    """The customer of a running service."""
    with customer_of(swift, tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture
def swift_bucket(customer: Customer) -> str:
    """A bucket of its own."""
    return customer.bucket()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small file."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content")
    return path
