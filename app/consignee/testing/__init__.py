"""For the tests of those who build on consignee: what every store and every destination type promises, as suites to inherit.

    pytest_plugins = ["consignee.testing"]  # in your conftest.py, for the fixtures


    class TestMyStore(StoreContract):
        @pytest.fixture
        async def store(self): ...  # yields an open, empty store

This package alone needs pytest, and, as its tests are coroutines, a plugin that runs those, such as pytest-asyncio. Write
`asyncio_mode = auto` into pytest's settings, or mark what inherits from the suites.

It may be imported before pytest takes it for a plugin (PYTEST_DONT_REWRITE: its asserts are in the modules below).
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("buckets", "large", "readable", "remnants", "servers", "stores")),
)

from consignee.providers.memory import MemoryStorage  # noqa: E402
from consignee.store.memory import MemoryStore  # noqa: E402
from consignee.testing.bodies import StalledBody, StreamedBody  # noqa: E402
from consignee.testing.buckets import BucketContract, Subject  # noqa: E402
from consignee.testing.fixtures import memory_destinations, memory_storage, memory_store  # noqa: E402
from consignee.testing.opening import ended, loopback, open_in_memory  # noqa: E402
from consignee.testing.readable import ReadableContract  # noqa: E402
from consignee.testing.servers import ServerContract  # noqa: E402
from consignee.testing.serving import serving  # noqa: E402
from consignee.testing.stores import StoreContract  # noqa: E402

__all__ = [
    "BucketContract",
    "MemoryStorage",
    "MemoryStore",
    "ReadableContract",
    "ServerContract",
    "StalledBody",
    "StoreContract",
    "StreamedBody",
    "Subject",
    "ended",
    "loopback",
    "memory_destinations",
    "memory_storage",
    "memory_store",
    "open_in_memory",
    "serving",
]
