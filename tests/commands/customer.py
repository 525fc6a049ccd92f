"""A customer of a running service: destinations and collections over HTTP, and the command as a process."""

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from canaries import API_KEY
from consignee.demo.storage import StorageServer
from samples.serving import Serving, environment, serving, write_config

KEY: Final = API_KEY
USER: Final = "test:tester"
SECONDS: Final = 60.0
_DELIVERY: Final = '[delivery]\nretries = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]\nbreaker = 100\n'
_numbers = itertools.count()
"""Of buckets: the storage outlives a customer."""


@dataclass(frozen=True)
class Customer:
    """Talks to the service with an API key; `config` is that of the service."""

    service: Serving
    config: Path
    storage: StorageServer

    def ask(self, method: str, path: str, content: Any = None) -> dict[str, Any]:
        """Return the answer, which must be a success."""
        headers = {"Authorization": f"Bearer {KEY}"}
        response = requests.request(method, self.service.url + path, json=content, headers=headers, timeout=SECONDS)
        answer: dict[str, Any] = response.json()
        assert answer["request_info"]["success"], answer
        return answer

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"deliver-{next(_numbers)}"
        self.storage.checked(USER, "PUT", f"/{name}")
        return name

    def destination(self, bucket: str, *, name: str = "Mine", url: str = "", enabled: bool = True) -> str:
        """Make a destination and return its id."""
        fields = self.fields(bucket, name=name, url=url, enabled=enabled)
        return str(self.ask("POST", "/destinations", fields)["destination"]["id"])

    def fields(self, bucket: str, *, name: str = "Mine", url: str = "", enabled: bool = True) -> dict[str, Any]:
        """Return the fields of a destination that works."""
        return {
            "type": "s3compatible",
            "name": name,
            "enabled": enabled,
            "s3_endpoint": url or self.storage.url,
            "s3_access_key_id": USER,
            "s3_secret_access_key": self.storage.users[USER],
            "s3_bucket_name": bucket,
            "s3_path_prefix": "%RESULT_SET_ID%",
        }

    def collection(self, name: str, *destination_ids: str) -> str:
        """Make a collection and return its id."""
        fields = {"name": name, "destination_ids": destination_ids}
        return str(self.ask("POST", "/collections", fields)["collection"]["id"])

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command that delivers, with the service's URL and configuration."""
        return command("--url", self.service.url, "--config", self.config, *arguments)

    def arguments(self, *arguments: str) -> list[str]:
        """Return any command, with the service's URL and configuration."""
        more = ("--url", self.service.url, "--config", str(self.config))
        return [sys.executable, "-m", "consignee", *arguments, *more]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run that to its end."""
        return ended(self.arguments(*arguments), stdin=stdin)

    def deliver(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run that to its end."""
        return ended(self.command(*arguments), stdin=stdin)


def command(*arguments: str | Path) -> list[str]:
    """Return the command that delivers."""
    return [sys.executable, "-m", "consignee", "deliver", *map(str, arguments)]


def run_command(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run any command to its end, as it is given."""
    return ended([sys.executable, "-m", "consignee", *arguments], environ=environ)


def ended(
    command: Sequence[str], *, stdin: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must say what is wrong in a line of its own, and never the key."""
    env = {**environment(), **(environ or {})}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False, env=env)
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def customer_of(storage: StorageServer, directory: Path) -> Iterator[Customer]:
    """Run a service that repeats soon what fails, and yield its customer."""
    config = write_config(directory, accounts={"ann": KEY})
    config.write_text(config.read_text() + _DELIVERY)
    with serving(config) as service:
        yield Customer(service, config, storage)
        assert service.stop() == 0


async def succeeded(customer: Customer, collection_id: str, number: int = 1) -> None:
    """Wait until every delivery of a result set went well."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await asyncio.to_thread(customer.ask, "GET", f"/collections/{collection_id}/results/{number}")
            if all(one["status"] == "success" for one in answer["result"]["destination_status"].values()):
                return
            await asyncio.sleep(0.05)
