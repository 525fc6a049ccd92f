"""Runs the asynchronous tests on another event loop than asyncio's own: LOOP=uvloop make test."""

import asyncio
import importlib
from collections.abc import Callable, Mapping

import pytest


class Loop:
    """A plugin for the loop of the package of that name, such as uvloop."""

    def __init__(self, package: str) -> None:
        self._package = package

    def pytest_asyncio_loop_factories(
        self, config: pytest.Config, item: pytest.Item
    ) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        """Return the one that all tests run on."""
        return {self._package: importlib.import_module(self._package).new_event_loop}
