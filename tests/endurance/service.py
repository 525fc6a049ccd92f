"""A service with its settings for a test under load, and a producer that gives it result sets over HTTP."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from canaries import API_KEY, write_sealing_key
from fakes.chaos_process import ChaosServer

KEY = API_KEY
_CONFIG = """\
[server]
port = 0
shutdown_timeout = 5
[store]
path = {store}
[secrets]
key_file = {key_file}
[egress]
allow = ["127.0.0.1/32:*"]
allow_http = true
[limits]
destinations_per_account = 10000
collections_per_account = 10000
requests_per_second = 0
tests_per_second = 0
[log]
level = "warning"
[[accounts.fixed]]
name = "producer"
api_key = {api_key}
"""


def write_config(directory: Path, *, delivery: str = "", providers: str = "") -> Path:
    """Write a configuration whose files are all in `directory`, with lines for the section [delivery] and tables of providers."""
    text = _CONFIG.format(
        api_key=json.dumps(KEY),
        store=json.dumps(str(directory / "store")),
        key_file=json.dumps(str(write_sealing_key(directory / "secret.key"))),
    )
    config = directory / "consignee.toml"
    config.write_text(f"{text}[delivery]\n{delivery}\n{providers}\n")
    return config


@dataclass
class Api:
    """The HTTP API, as a client that repeats what was not acknowledged. `url` changes when the service is started anew."""

    session: aiohttp.ClientSession
    url: str
    tries: int = 200
    pause: float = 0.05
    key: str = KEY
    repeated: int = field(default=0, init=False)

    async def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET; raises AssertionError if it is refused."""
        return await self._call("GET", path)

    async def post(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a POST of JSON."""
        return await self._call("POST", path, content)

    async def upload(self, collection: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Upload a result set and return it as it was answered."""
        answer = await self._call("POST", f"/collections/{collection}/results", files=files)
        result: dict[str, Any] = answer["result"]
        return result

    async def _call(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, files: Mapping[str, bytes] | None = None
    ) -> dict[str, Any]:
        for _ in range(self.tries):
            try:
                async with self.session.request(
                    method, self.url + path, headers={"X-API-Key": self.key}, json=content, data=_form(files)
                ) as response:
                    answer: dict[str, Any] = await response.json()
                    assert response.status == 200 or response.status == 503, answer
                    if response.status == 200:
                        return answer
            except (aiohttp.ClientError, OSError, ValueError):
                self.repeated += 1
            await asyncio.sleep(self.pause)
        raise AssertionError(f"{method} {path} was never answered")

    async def destination(self, name: str, **fields: Any) -> str:
        """Create an S3-compatible destination and return its id."""
        values = {"name": name, "type": "s3compatible", "enabled": True, **fields}
        answer = await self.post("/destinations", values)
        return str(answer["destination"]["id"])

    async def collection(self, name: str, destination_ids: Sequence[str]) -> str:
        """Create a collection and return its id."""
        answer = await self.post("/collections", {"name": name, "destination_ids": list(destination_ids)})
        return str(answer["collection"]["id"])


async def bucket(api: Api, storage: ChaosServer, number: int, **fields: Any) -> str:
    """Create a destination for the bucket of that number, and return its id."""
    return await api.destination(f"bucket {number}", **{**bucket_fields(storage, number), **fields})


def bucket_fields(storage: ChaosServer, number: int) -> dict[str, str]:
    """Return what a destination for the bucket of that number needs, but for its name."""
    return {
        "s3_access_key_id": storage.key_id,
        "s3_secret_access_key": storage.secret,
        "s3_bucket_name": f"bucket-{number:03d}",
        "s3_endpoint": storage.url,
        "s3_region": storage.region,
        "s3_addressing_style": "path",
        "s3_path_prefix": "exports/%RESULT_SET_ID%",
    }


def _form(files: Mapping[str, bytes] | None) -> aiohttp.FormData | None:
    if files is None:
        return None
    form = aiohttp.FormData()
    for name, content in files.items():
        form.add_field("file", content, filename=name, content_type="application/octet-stream")
    return form


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def memory_of(pid: int) -> int:
    """Return the peak resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no such line")
