"""Who guesses at API keys learns nothing from the answers: all of them are the same, to the byte."""

import asyncio
import re

from aiohttp.test_utils import TestServer

from consignee.web.keys import ACCOUNTS

from .conftest import Client, Start

_VARIES = re.compile(rb"(?i)(x-trace-id|date): [^\r]*\r\n")


async def answered(client: Client, query: str, headers: str) -> bytes:
    """Return the whole answer to a request with that key, without what differs from one request to the next."""
    assert isinstance(client.server, TestServer)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(f"GET /destinations{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return _VARIES.sub(b"", answer)


async def test_every_key_that_is_not_good_gets_the_same_answer(start: Start) -> None:
    """Absent, malformed, of an unknown id, of a known id but wrong, revoked: in each of the three places."""
    client = await start(key=None)
    assert client.app is not None
    accounts = client.app[ACCOUNTS]
    known, revoked = await accounts.create_key("ann"), await accounts.create_key("ann")
    await accounts.revoke_key(revoked.split("_")[1])
    wrong = known[:-1] + ("A" if known[-1] != "A" else "B")
    keys = {
        "malformed": "csg_",
        "nonsense": "x",
        "too long": "x" * 300,
        "unknown": "csg_00000000_" + "A" * 43,
        "wrong": wrong,
        "revoked": revoked,
        "nearly fixed": "key-A",
    }
    absent = await answered(client, "", "")
    assert absent.startswith(b"HTTP/1.1 401 ")
    for name, key in keys.items():
        for query, header in (
            (f"?api_key={key}", ""),
            ("", f"X-API-Key: {key}\r\n"),
            ("", f"Authorization: Bearer {key}\r\n"),
        ):
            assert await answered(client, query, header) == absent, name
    good = await answered(client, "", f"X-API-Key: {known}\r\n")
    assert good.startswith(b"HTTP/1.1 200 ")
