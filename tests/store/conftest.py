"""What the tests of the store share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def private() -> Iterator[None]:
    """Whatever a test makes by itself is for the owner alone, as the store wants it."""
    before = os.umask(0o077)
    yield
    os.umask(before)
