"""A client of Google that sends what a test wants it to send."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientResponse, ClientSession, TCPConnector

from fakes.certificates import Authority
from fakes.google import HOSTS, Google, Resolver
from fakes.google_oauth import GRANT_TYPE, TOKEN_URI, assertion

EMAIL = "writer@demo-project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
STORAGE = "https://storage.googleapis.com"
BUCKET = "demo-bucket"
NOW = 1_800_000_000


@asynccontextmanager
async def connected(google: Google, ca: Authority) -> AsyncIterator[ClientSession]:
    """Serve this Google under its own names and with a certificate for them; yield a client who finds it there."""
    async with google.serving(tls=ca.server_context(*HOSTS)) as server:
        connector = TCPConnector(resolver=Resolver(server.port), ssl=ca.client_context())
        async with ClientSession(connector=connector) as session:
            yield session


def claims(**changed: Any) -> dict[str, Any]:
    """Return good claims, unless something is changed."""
    return {"iss": EMAIL, "aud": TOKEN_URI, "iat": NOW, "exp": NOW + 3600, "scope": SCOPE} | changed


async def exchange(session: ClientSession, token: str, *, grant: str = GRANT_TYPE) -> tuple[int, dict[str, Any]]:
    """Ask for a token, and return the status and what was answered."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = urlencode({"grant_type": grant, "assertion": token})
    async with session.post(TOKEN_URI, data=form, headers=headers) as response:
        return response.status, await response.json()


async def bearer(session: ClientSession) -> dict[str, str]:
    """Return the header that a good token makes."""
    status, answer = await exchange(session, assertion(claims()))
    assert status == 200
    return {"Authorization": f"Bearer {answer['access_token']}"}


async def upload(
    session: ClientSession, headers: Mapping[str, str], name: str = "x", *, bucket: str = BUCKET
) -> tuple[int, str]:
    """Upload a byte, and return the status and the answer."""
    url, query = f"{STORAGE}/upload/storage/v1/b/{bucket}/o", {"name": name, "uploadType": "media"}
    async with session.post(url, params=query, data=b"x", headers=headers, allow_redirects=False) as response:
        return await _told(response)


async def delete(
    session: ClientSession, headers: Mapping[str, str], name: str = "x", *, bucket: str = BUCKET
) -> tuple[int, str]:
    """Delete an object of a simple name, and return the status and the answer."""
    url = f"{STORAGE}/storage/v1/b/{bucket}/o/{name}"
    async with session.delete(url, headers=headers, allow_redirects=False) as response:
        return await _told(response)


async def _told(response: ClientResponse) -> tuple[int, str]:
    """Return the status and, for an error in Google's own words, its reason, else the text."""
    assert response.headers["X-GUploader-UploadID"]
    text = await response.text()
    if response.status < 400:
        return response.status, text
    error = json.loads(text)["error"]
    (first,) = error["errors"]
    assert error["code"] == response.status
    assert error["message"] == first["message"]
    return response.status, first["reason"]
