"""More than can be done: what is refused is refused quickly, and costs what is done next to nothing."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from samples.serving import serving, write_config

from .load import Line, Tally, ask_on, flood, many_files, message, quantile

SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "2"))
OVERLOADS = int(os.environ.get("OVERLOADS", "1"))
"""The best of so many is what counts, for whatever else the machine does comes and goes."""
PEAK_LINES = int(os.environ.get("PEAK_LINES", "64"))
TIMES = 5
LEAST_SHARE = float(os.environ.get("LEAST_SHARE", "0.3"))
"""Of the goodput at its peak, if there was more than one overload: what one says is said of the machine as well."""
ACCOUNTS = {f"account-{number}": f"key-{number}" for number in range(4)}
LIMITS = "[limits]\nrequests_per_second = 0\nrequests_in_flight = 96\n"
RATES = "[limits]\nrequests_per_second = 50\nrequests_burst = 100\n"
_FIELDS = {
    "type": "s3",
    "enabled": False,
    "s3_access_key_id": "id",
    "s3_secret_access_key": "secret",
    "s3_bucket_name": "bucket",
}
Make = Callable[[], bytes]


def creates(numbers: Iterator[int], key: str) -> Make:
    """Return what makes a disabled destination, each time another."""
    return lambda: message("POST", "/destinations", key=key, content={**_FIELDS, "name": f"n{next(numbers)}"})


def reads(key: str) -> Make:
    """Return what asks for an account's numbers."""
    return lambda: message("GET", "/account", key=key)


async def loaded(url: str, lines: int, numbers: Iterator[int]) -> tuple[Tally, Tally]:
    """Return what came of so many connections that ask without a pause, and of asking meanwhile whether it is alive."""
    keys, health = itertools.cycle(ACCOUNTS.values()), Tally()
    async with asyncio.TaskGroup() as group:
        flooding = group.create_task(flood(url, [creates(numbers, next(keys)) for _ in range(lines)], seconds=SECONDS))
        make: Make = lambda: message("GET", "/healthz", key="none")  # noqa: E731
        group.create_task(ask_on(Line(url), health, make, time.monotonic() + SECONDS, pause=0.1))
    return flooding.result(), health


async def moderate(url: str, key: str) -> Tally:
    """Return what comes of asking on one connection, less often than anybody may."""
    tally = Tally()
    await ask_on(Line(url), tally, reads(key), time.monotonic() + SECONDS, pause=0.02)
    return tally


def config_of(directory: Path) -> Path:
    """Write the configuration of a server whose limits are on the requests under way alone."""
    config = write_config(directory, accounts=ACCOUNTS, limit=1_000_000)
    config.write_text(config.read_text().replace("[limits]\n", LIMITS))
    return config


async def test_five_times_what_can_be_done_leaves_most_of_it_done(tmp_path: Path) -> None:
    """`PEAK_LINES` connections are as much as can be done; then it is five times as many, which heed no Retry-After."""
    numbers = itertools.count()
    with serving(config_of(tmp_path), coverage=False) as server, many_files():
        await loaded(server.url, PEAK_LINES, numbers)
        peaks, overs = [], []
        for _ in range(OVERLOADS):
            peaks.append(await loaded(server.url, PEAK_LINES, numbers))
            overs.append(await loaded(server.url, TIMES * PEAK_LINES, numbers))
        assert server.stop() == 0
    assert [peak.statuses.keys() for peak, _ in peaks] == [{200}] * OVERLOADS
    assert [over.statuses.keys() for over, _ in overs] == [{200, 503}] * OVERLOADS
    assert [over.without_retry_after + over.broken for over, _ in overs] == [0] * OVERLOADS
    assert [health.statuses.keys() for _, health in overs] == [{200}] * OVERLOADS
    over, health = max(overs, key=lambda one: one[0].count(200))
    best = max(peak.count(200) for peak, _ in peaks)
    share = over.count(200) / best
    print(  # noqa: T201
        f"peak {best / SECONDS:.0f}/s on {PEAK_LINES} connections, {over.count(200) / SECONDS:.0f}/s ({share:.0%}) on "
        f"{TIMES * PEAK_LINES}; 503: {over.count(503)}, p50 {quantile(over.seconds[503], 0.5):.0f} ms; "
        f"/healthz: {health.count(200)} of {health.statuses.total()}, p99 {quantile(health.seconds[200], 0.99):.0f} ms"
    )
    assert OVERLOADS == 1 or share > LEAST_SHARE


async def test_where_there_is_no_place_the_answer_comes_at_once(tmp_path: Path) -> None:
    """The places are taken by requests whose bodies do not come; nothing else is to be done."""
    tally, config = Tally(), config_of(tmp_path)
    config.write_text(config.read_text().replace("requests_in_flight = 96\n", "requests_in_flight = 8\n"))
    with serving(config, coverage=False) as server:
        whole = message("POST", "/destinations", key="key-0", content=_FIELDS)
        others = [message("POST", "/destinations", key=key, content=_FIELDS) for key in list(ACCOUNTS.values())[1:]]
        held = [await half_sent(server.url, one) for one in (whole, *others) for _ in range(2)]
        for _ in range(50):
            line = Line(server.url)
            began = time.monotonic()
            status, headers, _ = await line.ask(whole)
            tally.note(status, time.monotonic() - began, headers)
            line.close()
        for writer in held:
            writer.transport.abort()
        assert await asyncio.to_thread(server.stop) == 0  # while this loop lets the connections go
    assert tally.statuses.keys() == {503} and tally.without_retry_after == 0
    print(  # noqa: T201
        f"503 with Retry-After, on a new connection, p50 {quantile(tally.seconds[503], 0.5):.1f} ms, "
        f"p99 {quantile(tally.seconds[503], 0.99):.1f} ms"
    )


async def half_sent(url: str, sent: bytes) -> asyncio.StreamWriter:
    """Send all of a request but its last byte, when the server wants its body; return the connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")[:-1])
    assert await asyncio.wait_for(reader.readline(), 20) == b"HTTP/1.1 100 Continue\r\n"
    return writer


async def test_one_account_s_flood_leaves_another_its_share(tmp_path: Path) -> None:
    """Who floods is refused, and waits for that; the other one is answered, each time."""
    config = write_config(tmp_path, accounts=ACCOUNTS, limit=1_000_000)
    config.write_text(config.read_text().replace("[limits]\n", RATES))
    with serving(config, coverage=False) as server, many_files():
        alone = await moderate(server.url, "key-1")
        flooded = Tally()
        flooding = asyncio.create_task(flood(server.url, [reads("key-0")] * 200, seconds=3600, tally=flooded))
        async with asyncio.timeout(120):
            while not flooded.count(429):
                await asyncio.sleep(0.05)
        beside = await moderate(server.url, "key-1")
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert server.stop() == 0
    assert flooded.statuses.keys() <= {200, 429, 503} and flooded.without_retry_after == 0
    assert beside.statuses.keys() == {200}
    print(  # noqa: T201
        f"beside 200 connections of a flood: p50 {quantile(beside.seconds[200], 0.5):.1f} ms, "
        f"p99 {quantile(beside.seconds[200], 0.99):.1f} ms (alone {quantile(alone.seconds[200], 0.5):.1f}, "
        f"{quantile(alone.seconds[200], 0.99):.1f} ms); the flood got {dict(flooded.statuses)}"
    )
