"""The second half of the tour: a result set reaches five buckets, one of them after two failures and a `kill -9`."""

import asyncio
import hashlib
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from consignee.delivery.tracking import PERIOD
from consignee.demo.clouds import Clouds
from consignee.demo.tour import API_KEY, Tour

NAME: Final = "Shop pages"
TROUBLED: Final = "s3compatible"
MANIFEST: Final = "_manifest.json"
RETRIES: Final = "1s,3s,6s,12s,24s"
"""In place of the usual waits, which are too long for a tour."""

FILES: Final[Mapping[str, bytes]] = {
    "index.html": b"<!doctype html>\n<title>Shop</title>\n<p>All that we have.\n",
    "Größen & Preise.csv": "Größe;Preis\n".encode() + b"".join(b"%d;%d.90\n" % (n, n * 3) for n in range(20_000)),
    "logo.bin": bytes(range(256)) * 256,
}
SECONDS: Final = 60.0
Status = Mapping[str, Any]
_AUTHORIZED: Final = f"-H 'Authorization: Bearer {API_KEY}'"


class Deliveries:
    """What the tour does with result sets; between `begin` and `end` somebody has to kill the service."""

    def __init__(self, tour: Tour, clouds: Clouds) -> None:
        self._tour = tour
        self._clouds = clouds
        self._types: dict[str, str] = {}
        self._collection = self._path = self._troubled = ""

    async def begin(self) -> None:
        """Have a result set delivered; one storage refuses it twice, and then hangs."""
        found = (await self._tour.look("/destinations"))["destinations"]
        self._types = {one["id"]: one["type"] for one in found if one["name"].startswith("My ")}
        self._troubled = next(id_ for id_, type_ in self._types.items() if type_ == TROUBLED)
        fields = {"name": NAME, "destination_ids": list(self._types), "manifest": True}
        made = await self._tour.ask("A collection of all these destinations", "POST", "/collections", content=fields)
        self._collection = f"/collections/{made.body.get('collection', {}).get('id', 'none')}"
        print(f"\n   From now on, the storage of type {TROUBLED} answers 503 to everything.")
        self._clouds.faults.refuse()
        title = "A result set: one part per file, answered when all of it is on the disk"
        await self._tour.ask(title, "POST", f"{self._collection}/results", files=FILES)
        self._path = f"{self._collection}/results/1"
        self._print_commands()
        await self._fail_twice()

    async def _fail_twice(self) -> None:
        print(f"\n## How it goes\nGET {self._path}?api_key={API_KEY}")
        await self._until("two attempts have failed there", lambda status: _failures(status[self._troubled]) == 2)
        print(
            f"\n   Now the storage of type {TROUBLED} takes one file, and leaves the next requests without an answer."
        )
        self._clouds.faults.hang(after=1)
        await self._until("one file has arrived there, and all of them elsewhere", self._has_one_file)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._clouds.faults.hanging.wait(), SECONDS)
        self._tour.check("the third attempt is under way, and hangs", self._clouds.faults.hanging.is_set())
        await asyncio.sleep(4 * PERIOD)  # what has arrived is then written down, and not sent again

    async def end(self) -> None:
        """After the `kill -9` and a new start: see the delivery completed, and what lies in the buckets."""
        print(f"\n## The service is back, and the storage too\nGET {self._path}?api_key={API_KEY}")
        self._clouds.faults.heal()
        succeeded = "every delivery succeeded"
        status = await self._until(succeeded, lambda every: all(one["status"] == "success" for one in every.values()))
        self._print_log(status.get(self._troubled, {"log": []}))
        await self._compare(1)
        puts = [count for request, count in self._clouds.faults.passed.items() if NAME in request]
        self._tour.check("what had arrived was not sent again", puts == [1] * (len(FILES) + 1))
        await self._from_a_shell()

    def _has_one_file(self, status: Status) -> bool:
        others = [one["status"] for id_, one in status.items() if id_ != self._troubled]
        return set(others) == {"success"} and status[self._troubled]["files_done"] == 1

    async def _until(self, what: str, met: Callable[[Status], bool]) -> Status:
        status: Status = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while len(status) < len(self._types) or not met(status):
                    await asyncio.sleep(0.1)
                    status = (await self._tour.look(self._path)).get("result", {}).get("destination_status", {})
        self._print_table(status)
        self._tour.check(what, len(status) == len(self._types) and met(status))
        return status

    def _print_table(self, status: Status) -> None:
        print(f"   {'destination':17} {'status':10} {'files':>5} {'bytes':>8} {'attempts':>8}  next attempt at")
        for id_, one in status.items():
            files = f"{one['files_done']}/{one['files_total']}"
            numbers = f"{files:>5} {one['bytes_done']:8} {one['attempts']:8}"
            print(f"   {'My ' + self._types[id_]:17} {one['status']:10} {numbers}  {one['next_attempt_at'] or '-'}")

    def _print_log(self, delivery: Status) -> None:
        print(f"\n## The log of the delivery to My {TROUBLED}")
        for entry in delivery["log"]:
            print(f"   {entry['date_time']}  {entry['text']}")
        texts = [entry["text"] for entry in delivery["log"]]
        told = (
            _failures(delivery) == 2
            and any("interrupted" in text.lower() for text in texts)
            and "Delivered" in str(texts[-1:])
        )
        self._tour.check("it tells of two failures, the interruption and the success", told)

    async def _compare(self, number: int) -> None:
        """Read everything back from the servers."""
        print(f"\n## What lies in {len(self._types)} clouds, read back from the servers themselves")
        for type_ in self._types.values():
            contents = await self._read(type_, number)
            print(f"   {type_}, {self._clouds.buckets[type_].name}")
            for key, content in contents.items():
                print(f"      {_sha256(content)[:12]}...  {key}")
            self._tour.check("every file, byte for byte by SHA-256, and the manifest", _is_whole(contents))

    async def _read(self, type_: str, number: int) -> dict[str, bytes]:
        bucket = self._clouds.buckets[type_]
        return {key: await bucket.read(key) for key in await bucket.keys() if key.split("/")[-2] == str(number)}

    def _print_commands(self) -> None:
        files = " ".join(f"-F {shlex.quote(f'file=@{name}')}" for name in FILES)
        print(f"   by hand: curl -s '{self._tour.url}{self._collection}/results' {_AUTHORIZED} {files}")
        print(f"            curl -s '{self._tour.url}{self._path}' {_AUTHORIZED}")

    async def _from_a_shell(self) -> None:
        """The same files once more, with the command."""
        with tempfile.TemporaryDirectory(prefix="consignee-demo-") as directory:
            for name, content in FILES.items():
                await asyncio.to_thread((Path(directory) / name).write_bytes, content)
            arguments = ["deliver", "--url", self._tour.url, "--key-file", "-", "--collection", NAME, *FILES]
            print(f"\n## The same from a shell\n   $ echo {API_KEY} | consignee {shlex.join(arguments)}", flush=True)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "consignee", *arguments),
                cwd=directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            said, _ = await process.communicate(f"{API_KEY}\n".encode())
        print("".join(f"   {line}\n" for line in said.decode().splitlines()), end="")
        self._tour.check("status 0", process.returncode == 0)
        everywhere = [_is_whole(await self._read(type_, 2)) for type_ in self._types.values()]
        self._tour.check("every file lies in every bucket", all(everywhere))


def _failures(delivery: Status) -> int:
    return sum("failed" in entry["text"] for entry in delivery["log"])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_whole(contents: Mapping[str, bytes]) -> bool:
    found = {key.rpartition("/")[2]: _sha256(content) for key, content in contents.items()}
    sent = {name: _sha256(content) for name, content in FILES.items()}
    if found.keys() != {*sent, MANIFEST} or not sent.items() <= found.items():
        return False
    manifest = next(content for key, content in contents.items() if key.endswith(f"/{MANIFEST}"))
    return {one["name"]: one["sha256"] for one in json.loads(manifest)["files"]} == sent
