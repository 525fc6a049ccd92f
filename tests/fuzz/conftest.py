"""The service that both kinds of fuzzing are about."""

from collections.abc import Iterator

import pytest

from .target import Target, running


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The service; in the end, it must be alive, and its log without a complaint."""
    with running(tmp_path_factory.mktemp("fuzz")) as started:
        yield started
