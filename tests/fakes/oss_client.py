"""A client of the fake OSS: the vendor's SDK signs, aiohttp sends exactly that, and answers can be judged."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import oss2
from yarl import URL

from canaries import OSS_SECRET
from fakes.oss import Oss
from fakes.oss_access import User
from fakes.oss_answers import Error
from fakes.resolver import FixedResolver

WRITER = "LTAI-writer"
USERS = {
    WRITER: User(OSS_SECRET),
    "LTAI-reader": User("reader-secret", may_put=False, may_delete=False),
    "LTAI-nodelete": User("nodelete-secret", may_delete=False),
    "LTAI-arrears": User("arrears-secret", disabled=True),
    "LTAI-inactive": User("inactive-secret", inactive=True),
}
BUCKETS = {"a-bucket": "cn-hangzhou", "far-bucket": "cn-shanghai"}


@dataclass(frozen=True)
class Seen:
    """An answer as the client saw it."""

    status: int
    headers: Mapping[str, str]
    body: str

    def element(self, name: str) -> str:
        """Return the text of an element of the body, "" if there is none."""
        found = re.search(f"<{name}>(.*?)</{name}>", self.body, re.DOTALL)
        return found[1] if found else ""


def url_of(
    oss: Oss,
    method: str = "PUT",
    key: str = "dir/file.txt",
    *,
    key_id: str = WRITER,
    secret: str | None = None,
    bucket: str = "a-bucket",
    endpoint: str | None = None,
    region: str = "cn-hangzhou",
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    expires: int = 600,
) -> str:
    """Return a URL signed by the vendor's SDK; headers are all signed."""
    auth = oss2.AuthV4(key_id, USERS[key_id].secret if secret is None else secret)
    opened = oss2.Bucket(auth, endpoint or oss.url, bucket, region=region, is_path_style=oss.path_style)
    given, names = dict(headers or {}), [name.lower() for name in headers or {}]
    url = opened.sign_url(
        method, key, expires, headers=given, params=dict(params or {}), slash_safe=True, additional_headers=names
    )
    assert isinstance(url, str)
    return url


@asynccontextmanager
async def localhost_client() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a client for which all names below localhost are this machine."""
    connector = aiohttp.TCPConnector(resolver=FixedResolver({"*.localhost": ["127.0.0.1"]}))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def send(
    client: aiohttp.ClientSession, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Seen:
    """Send exactly this; without the Content-Type that aiohttp would add, and which would be part of the signature."""
    async with client.request(
        method,
        URL(url, encoded=True),
        data=body,
        headers=headers,
        skip_auto_headers=["Content-Type"],
        allow_redirects=False,
    ) as response:
        return Seen(response.status, response.headers, await response.text())


def assert_refused(seen: Seen, error: Error) -> None:
    """Check status, code and words, and that the request can be named to the vendor."""
    assert (seen.status, seen.element("Code"), seen.element("Message")) == (error.status, error.code, error.message)
    assert seen.element("RequestId") == seen.headers["x-oss-request-id"]
    assert seen.headers["Content-Type"] == "application/xml"
