"""The service that both kinds of fuzzing are about."""

from collections.abc import Iterator

import pytest

from .target import Target, running


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The service, with the time limit of the module; in the end, it must be alive, and its log without a complaint."""
    with running(tmp_path_factory.mktemp("fuzz"), timeout=request.module.TIMEOUT) as started:
        yield started
