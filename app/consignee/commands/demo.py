"""consignee demo: a real S3 server, this service, and a tour of both over HTTP."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from consignee.demo.clouds import Clouds, running_clouds
from consignee.demo.deliveries import NAME, RETRIES, Deliveries
from consignee.demo.tour import API_KEY, Tour
from consignee.errors import ConsigneeError


def run(arguments: argparse.Namespace) -> int:
    """Run the tour; return 0 if every step went as it should. Without --once the server is left running."""
    if not arguments.config.is_file():
        raise ConsigneeError(f"{arguments.config} does not exist: give the demo's settings with --config FILE")
    return asyncio.run(_demo(arguments.config, once=arguments.once))


async def _demo(config: Path, *, once: bool) -> int:
    print("starting storage servers that check signatures, and consignee", flush=True)
    with tempfile.TemporaryDirectory(prefix="consignee-demo-") as directory:
        async with running_clouds() as clouds, aiohttp.ClientSession() as session:
            tour = Tour(session, clouds)
            deliveries = Deliveries(tour, clouds)
            async with _server(config, directory, clouds) as server:
                tour.url = server.url
                await tour.first_part()
                await tour.all_types()
            print("\n## Restart the server")
            async with _server(config, directory, clouds) as server:
                tour.url = server.url
                await tour.second_part()
                await deliveries.begin()
                print(f"\n## In the midst of that\nkill -9 {server.process.pid}")
                server.process.kill()
            async with _server(config, directory, clouds) as server:
                tour.url = server.url
                await deliveries.end()
                print(f"\n{_verdict(tour)}", flush=True)
                if not once:
                    await _stay(tour.url)
            return 1 if tour.failures else 0


@dataclass(frozen=True)
class _Server:
    """A running service."""

    url: str
    process: asyncio.subprocess.Process


@asynccontextmanager
async def _server(config: Path, directory: str, clouds: Clouds) -> AsyncIterator[_Server]:
    own = {"CONSIGNEE_STORE__PATH": directory, "CONSIGNEE_SECRETS__KEY_FILE": f"{directory}/secret.key"}
    own["CONSIGNEE_DELIVERY__RETRIES"] = RETRIES
    own |= {f"CONSIGNEE_PROVIDERS__{type_.upper()}__ENDPOINT_URL": url for type_, url in clouds.endpoints.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consignee", "serve", "--config", str(config), "--port", "0"),
        env={**os.environ, "CONSIGNEE_LOG__LEVEL": "warning", **own},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        if "http://" not in line:
            raise ConsigneeError("the server did not start")
        yield _Server(line.split()[-1], process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _verdict(tour: Tour) -> str:
    if tour.failures:
        return "The tour did NOT go as it should: " + "; ".join(tour.failures)
    return "The tour went as it should."


async def _stay(url: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"consignee is running at {url} (api_key={API_KEY}); end it with Ctrl-C", flush=True)
    print(f"   open: {url}/console/ and log in with that key")
    print(f"   try: curl '{url}/destinations?api_key={API_KEY}'")
    print(
        f"   and: echo {API_KEY} | consignee deliver --url {url} --key-file - --collection '{NAME}' FILE ...",
        flush=True,
    )
    await stopped.wait()
