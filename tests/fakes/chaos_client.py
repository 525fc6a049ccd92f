"""A client of the S3 server of the chaos tests: signed requests over one session, sent as they are and never repeated."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from consignee.body import BytesBody
from consignee.providers.sigv4 import Signer
from consignee.secret import Secret
from consignee.transport import Answer
from fakes.chaos_process import ChaosServer


class ChaosClient:
    """Sends requests to a server, signed with its key."""

    def __init__(self, server: ChaosServer, session: aiohttp.ClientSession, signer: Signer) -> None:
        self._server = server
        self._session = session
        self.signer = signer

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        payload: str | None = None,
        region: str | None = None,
    ) -> dict[str, str]:
        """Return the headers of a request, signed; `payload` is the body's digest unless given."""
        return self.signer.sign(
            method,
            self._server.url + path,
            region=region or self._server.region,
            headers=headers or {},
            payload=BytesBody(body).sha256.hex() if payload is None else payload,
        )

    async def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a request; `path` is as on the wire. Raises aiohttp.ClientError."""
        headers = self.signed(method, path, body) if headers is None else headers
        url = URL(self._server.url + path, encoded=True)
        async with self._session.request(method, url, data=body or None, headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def chaos_client(server: ChaosServer, *, secret: str = "", key_id: str = "") -> AsyncIterator[ChaosClient]:
    """Yield a client with the server's key, or another."""
    signer = await Signer.load(key_id or server.key_id, Secret(secret or server.secret), extra="s3")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        # A request on a connection that was kept would be sent again unseen, when the server closes it.
        session._retry_connection = False
        yield ChaosClient(server, session, signer)
