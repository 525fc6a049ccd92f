"""What several tests of one fake share."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import ClientSession

from fakes.certificates import Authority
from fakes.google import Google
from fakes.google_calls import BUCKET, NOW, connected
from fakes.oss import Oss, oss_server
from fakes.oss_client import BUCKETS, USERS, localhost_client


@pytest.fixture
def google() -> Google:
    """A Google whose clock stands still, with one bucket."""
    google = Google(now=lambda: NOW)
    google.create_bucket(BUCKET)
    return google


@pytest.fixture
async def session(google: Google, ca: Authority) -> AsyncIterator[ClientSession]:
    """A client to whom Google's names lead to the fake."""
    async with connected(google, ca) as session:
        yield session


@pytest.fixture
async def oss() -> AsyncIterator[Oss]:
    """A server for paths."""
    async with oss_server(USERS, BUCKETS, path_style=True) as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client for which all names below localhost are this machine."""
    async with localhost_client() as session:
        yield session
