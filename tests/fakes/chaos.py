"""An S3 server that checks signatures and misbehaves as it is told: `python -m fakes.chaos`, with tests/ on PYTHONPATH.

It answers path-style requests, keeps digests and counts of what it received, and prints one line, its URL, when it is
ready. Below `/_control/` it tells its state and takes other faults; with the same `--dir` it goes on after it was killed.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fakes import chaos_control
from fakes.chaos_answers import Refusal, access_denied, internal_error, slow_down
from fakes.chaos_call import CHUNK_BYTES, Call
from fakes.chaos_faults import Faults, Plan
from fakes.chaos_objects import Objects, operation
from fakes.chaos_signature import Verifier
from fakes.chaos_state import Ledger
from fakes.scripted import Answer, Request

_BACKLOG = 1024


class Chaos:
    """Serves connections, with the faults of the plan."""

    def __init__(self, objects: Objects, plan: Plan) -> None:
        self._objects = objects
        self._ledger = objects.ledger
        self._plan = plan
        self._ids = itertools.count(1)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until it ends or a fault ends it."""
        try:
            # Nobody waits for this task, so its cancellation at the end ends here.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (head := await _read_head(reader)) and await self._serve(Call(head, reader, writer), writer):
                    pass
                # What was written of a cut answer is sent before the connection is closed.
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _serve(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        """Return whether the connection stays open."""
        if call.bucket == chaos_control.BUCKET:
            writer.write((await chaos_control.control(call, self._ledger, self._plan)).encode())
            return True
        asked = operation(call)
        self._ledger.counts.enter(call.bucket, asked or call.head.method)
        try:
            return await self._misbehave(call, asked, writer)
        finally:
            self._ledger.counts.busy[call.bucket] -= 1

    async def _misbehave(self, call: Call, asked: str, writer: asyncio.StreamWriter) -> bool:
        faults = self._plan.of(call.bucket)
        fault = self._plan.draw(faults, asked)
        if fault:
            self._ledger.counts.faults[fault] += 1
        if fault in ("stall", "dead"):
            await call.stall(faults.stall_seconds)
        if fault in ("drop", "stall", "dead"):
            return False
        answer = await self._answer(call, faults, fault)
        if pause := faults.delay + faults.slow:
            await asyncio.sleep(pause / 1000)
        if fault == "drop_after":
            return False
        self._ledger.counts.answers[str(answer.status)] += 1
        encoded = answer.encode()
        writer.write(encoded[: len(encoded) // 2] if fault == "cut" else encoded)
        await writer.drain()
        return fault != "cut" and call.head.headers.get("connection", "").lower() != "close"

    async def _answer(self, call: Call, faults: Faults, fault: str | None) -> Answer:
        request_id = f"{next(self._ids):016X}"
        try:
            if refusal := _refusal(fault, faults):
                raise refusal
            answer = await self._objects.do(call)
            if fault == "error_after":
                raise internal_error()
        except Refusal as refused:
            answer = refused.answer(request_id)
        await call.drain()
        return replace(answer, headers={"x-amz-request-id": request_id, **answer.headers})


def _refusal(fault: str | None, faults: Faults) -> Refusal | None:
    match fault:
        case "error500":
            return internal_error()
        case "error503":
            return slow_down(faults.retry_after)
        case "refuse":
            return access_denied()
    return None


async def _read_head(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request without its body, or None at the end. Of a repeated header all values count."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head[:-4].split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(method, path, headers, b"")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fakes.chaos", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", required=True, help="a name, or a pattern such as bucket-*")
    parser.add_argument("--key", action="append", required=True, metavar="ID=SECRET", help="an access key")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=json.loads, default={}, help='as JSON, such as {"drop": 0.1}')
    parser.add_argument("--dir", type=Path, help="where the journal and the parts are; a temporary directory if absent")
    parser.add_argument("--min-part", type=int, default=5 * 1024**2, metavar="BYTES")
    parser.add_argument("--keep", action="store_true", help="keep contents")
    parser.add_argument("--until-eof", action="store_true", help="end with the standard input")
    return parser.parse_args(arguments)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given:
        yield given
    else:
        with tempfile.TemporaryDirectory(prefix="consignee-chaos-") as temporary:
            yield Path(temporary)


async def _run(options: argparse.Namespace, directory: Path) -> None:
    ledger = Ledger(directory, keep=options.keep)
    verifier = Verifier(dict(key.split("=", 1) for key in options.key), region=options.region)
    objects = Objects(ledger, verifier, options.bucket, options.min_part)
    chaos = Chaos(objects, Plan(options.faults, seed=options.seed))
    ended = _ending(until_eof=options.until_eof)
    server = await asyncio.start_server(chaos.connected, "127.0.0.1", options.port, limit=CHUNK_BYTES, backlog=_BACKLOG)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201
    await ended.wait()
    server.close()
    ledger.close()


def _ending(*, until_eof: bool) -> asyncio.Event:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    if until_eof:
        loop.add_reader(sys.stdin.fileno(), readable)
    return ended


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server until SIGTERM."""
    options = _options(arguments)
    with _directory(options.dir) as directory:
        asyncio.run(_run(options, directory))


if __name__ == "__main__":
    main()
