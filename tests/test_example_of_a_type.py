"""The example of a destination type keeps what every type promises."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import unquote

import pytest

from fakes.scripted import Answer, Request, Responder, Server, scripted
from pages import example
from providers.contract import BucketContract, Subject
from providers.opening import COMMON, loopback


@contextmanager
def scripted_apart(responder: Responder) -> Iterator[Server]:
    """Run the server on a loop of its own, so that the contract, which looks for tasks left behind, does not find its."""
    loops: list[asyncio.AbstractEventLoop] = []
    started: Future[Server] = Future()
    stopped = asyncio.Event()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with scripted(responder) as server:
            started.set_result(server)
            await stopped.wait()
            # A connection that came just now has its handler in a few turns, and is closed by that.
            for _ in range(100):
                await asyncio.sleep(0)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(asyncio.run, serve())
        yield started.result(10)
        loops[0].call_soon_threadsafe(stopped.set)
        running.result(10)


class TestCrate(BucketContract):
    """The example of a destination type keeps what every type promises."""

    @pytest.fixture
    def crate(self) -> dict[str, bytes]:
        """What the service keeps in its one bucket."""
        return {}

    @pytest.fixture
    def server(self, crate: dict[str, bytes]) -> Iterator[Server]:
        may = {"Bearer good": {"PUT", "DELETE"}, "Bearer weak": {"PUT"}}

        def answer(request: Request) -> Answer:
            _, bucket, key = unquote(request.path).split("/", 2)
            if request.headers["authorization"] not in may:
                return Answer(401)
            if bucket != "reports":
                return Answer(404)
            if request.method not in may[request.headers["authorization"]]:
                return Answer(403)
            if request.method == "DELETE":
                crate.pop(key, None)
                return Answer(204)
            crate[key] = request.body
            return Answer(201, {"ETag": '"1"'})

        with scripted_apart(answer) as server:
            yield server

    @pytest.fixture
    def subject(self, crate: dict[str, bytes], server: Server) -> Subject:
        async def keys() -> list[str]:
            return sorted(crate)

        async def read(key: str) -> bytes:
            return crate[key]

        return Subject(
            provider=example("crate").PROVIDER,
            fields=COMMON | {"type": "crate", "crate_token": "good", "crate_bucket_name": "reports"},
            settings=loopback(crate=server.url),
            wrong_secret={"crate_token": "wrong"},
            no_bucket={"crate_bucket_name": "no-such-bucket"},
            no_delete={"crate_token": "weak"},
            keys=keys,
            read=read,
        )
