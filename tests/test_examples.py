"""The examples of the documentation are run, and what the README says is answered is what is answered."""

import asyncio
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from consignee.demo.storage import StorageServer
from consignee.settings import load_settings
from consignee.web import create_app
from fakes.scripted import Answer, Request, Server, scripted
from pages import BLOCKS, EXAMPLES, blocks
from providers.contract import BucketContract, Subject
from providers.opening import COMMON, loopback

CHANCE = {"id", "created_at", "updated_at", "at", "ms", "provider_request_id", "s3_endpoint"}


def example(name: str) -> ModuleType:
    """Return the module that an example is."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(told: object, real: object, where: str = "") -> list[str]:
    """Return where an answer is not as told: what is null may be left out, what is left to chance has the same type."""
    if isinstance(told, dict) and isinstance(real, dict):
        names = set(told) | {name for name in real if real[name] is not None}
        return [found for name in names for found in differences(told.get(name), real.get(name), name)]
    if isinstance(told, list) and isinstance(real, list) and len(told) == len(real):
        return [found for pair in zip(told, real, strict=True) for found in differences(*pair, where)]
    right = type(told) is type(real) if where in CHANCE else told == real
    return [] if right else [f"{where}: {told!r} is documented, {real!r} is answered"]


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_every_python_block_is_a_part_of_an_example_or_runs(page: str, code: str) -> None:
    if not any(code.strip() in path.read_text() for path in EXAMPLES.glob("*.py")):
        names: dict[str, Any] = {"PROVIDER": example("crate").PROVIDER}
        before = len(names)
        exec(compile(code, page, "exec"), names)
        assert len(names) > before


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A consignee.toml in the working directory, which is a temporary one."""
    monkeypatch.chdir(tmp_path)
    accounts = '[[accounts.fixed]]\nname = "demo"\napi_key = "demo"\n'
    Path("consignee.toml").write_text(f'{accounts}[egress]\nallow = ["127.0.0.1/32:*"]\nallow_http = true\n')
    return Path("consignee.toml")


@pytest.fixture
def fields(swift: StorageServer) -> Mapping[str, object]:
    """A destination that works."""
    keys = {"s3_access_key_id": "test:tester", "s3_secret_access_key": swift.users["test:tester"]}
    return COMMON | keys | {"type": "s3compatible", "s3_endpoint": swift.url, "s3_bucket_name": "demo-bucket"}


async def ask(command: str, environ: Mapping[str, str]) -> Any:
    """Run a shell command and return the JSON that it prints."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command), env={**os.environ, "no_proxy": "*", **environ}, stdout=subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


async def test_the_readmes_requests_are_answered_as_it_says(
    config: Path, swift: StorageServer, aiohttp_client: AiohttpClient
) -> None:
    client = await aiohttp_client(create_app(load_settings(config, environ={})))
    environ = {"API": str(client.make_url("")).rstrip("/"), "STORAGE": swift.url}
    readme = [(language, code) for page, language, code in BLOCKS if page == "README.md"]
    requests = [(code, readme[number + 1]) for number, (_, code) in enumerate(readme) if "curl -s" in code]
    assert len(requests) == 2
    for request, (language, told) in requests:
        request = request.replace("demo:writer", "test:tester").replace("a+secret/of+the+demo", "testing")
        assert language == "json"
        assert differences(json.loads(told), await ask(request, environ)) == []


async def test_the_embedded_example_serves_beside_its_host(
    config: Path, fields: Mapping[str, object], aiohttp_client: AiohttpClient
) -> None:
    module = example("embedded")
    module.SESSIONS["token"] = "ann"
    client = await aiohttp_client(module.app)
    assert (await client.post("/storage/destinations", json=fields)).status == 401
    made = await client.post("/storage/destinations", json=fields, headers={"X-Session": "token"})
    assert made.status == 200, await made.text()


async def test_the_example_without_http_registers_or_says_why_not(config: Path, fields: Mapping[str, object]) -> None:
    register = example("without_http").register
    assert re.fullmatch("destination [0-9A-F]{8} works", await register("ann", fields))
    wrong = await register("ann", {**fields, "s3_secret_access_key": "wrong"})
    assert wrong.startswith("credentials_rejected: The connectivity test failed. ")


async def test_the_example_of_a_test_passes() -> None:
    assert await example("in_your_tests").test_a_customer_can_register_a_bucket() is None


async def test_the_parts_objects_serve_the_hosts_handlers(config: Path, aiohttp_client: AiohttpClient) -> None:
    (code,) = [code for page, code in blocks("python") if "def add_storage" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    app = web.Application()
    names["add_storage"](app, load_settings(config, environ={}))
    client = await aiohttp_client(app)
    assert await (await client.get("/how-many")).json() == {"destinations": 0}


class TestCrate(BucketContract):
    """The example of a destination type keeps what every type promises."""

    @pytest.fixture
    def crate(self) -> dict[str, bytes]:
        """What the service keeps in its one bucket."""
        return {}

    @pytest.fixture
    async def server(self, crate: dict[str, bytes]) -> AsyncIterator[Server]:
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

        async with scripted(answer) as server:
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
