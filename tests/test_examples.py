"""The examples of the documentation are run, and what the README says is answered is what is answered."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient
from standardwebhooks import WebhookVerificationError

from canaries import COMPATIBLE_SECRET
from consignee import open_destinations
from consignee.delivery import signature
from consignee.demo.storage import StorageServer
from consignee.errors import StoreUnusable
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.settings import SecretsSettings, StoreSettings, load_settings
from consignee.web import create_app
from pages import BLOCKS, EXAMPLES, blocks, differences, example, paragraph, rows
from providers.opening import COMMON, loopback

AUTHORIZED = {"Authorization": "Bearer demo"}
MEMBERS = ("Collections", "Result sets", "Delivery status", "Deliveries", "Uploads", "Deliveries of a destination")
Client = TestClient[web.Request, web.Application]
IN_TESTS = example("in_your_tests")


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_every_python_block_is_a_part_of_an_example_or_runs(page: str, code: str) -> None:
    if not any(code.strip() in path.read_text() for path in EXAMPLES.glob("*.py")):
        names: dict[str, Any] = {"__name__": "example", "PROVIDER": example("crate").PROVIDER}
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
    """One after the other, as a reader does."""
    client = await aiohttp_client(create_app(load_settings(config, environ={})), headers=AUTHORIZED)
    environ = {"API": str(client.make_url("")).rstrip("/"), "STORAGE": swift.url}
    for request, told in readme_requests():
        request = request.replace("demo:writer", "test:tester").replace("a+secret/of+the+demo", COMPATIBLE_SECRET)
        assert differences(told, await ask(request, environ)) == []


def readme_requests() -> list[tuple[str, dict[str, Any]]]:
    """Return the README's requests, each with the answer that follows it."""
    found = [(language, code) for page, language, code in BLOCKS if page == "README.md"]
    after = dict(enumerate(found, -1))
    requests = [
        (code, json.loads(after[number][1]))
        for number, (language, code) in enumerate(found)
        if language == "sh" and "curl -s" in code
    ]
    assert len(requests) == 2
    return requests


async def delivered(client: Client, path: str) -> dict[str, Any]:
    """Return a result set, as it is answered when it has arrived everywhere."""
    async with asyncio.timeout(10):
        while True:
            answer = await answered(client, path)
            if all(one["status"] == "success" for one in answer["result"]["destination_status"].values()):
                return answer
            await asyncio.sleep(0.01)


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


test_a_customer_can_register_a_bucket = IN_TESTS.test_a_customer_can_register_a_bucket
test_what_is_handed_over_arrives = IN_TESTS.test_what_is_handed_over_arrives


async def test_the_portal_lets_in_who_has_logged_in(
    config: Path, fields: Mapping[str, object], aiohttp_client: AiohttpClient
) -> None:
    """To the storage as to its own page, until they log out; consignee knows them by the id that the portal gives."""
    module = example("portal")
    module.PASSWORDS["ann"] = ("customer-17", b"salt", module.digest("correct horse", b"salt"))
    client = await aiohttp_client(module.portal(load_settings(config, environ={})))
    for wrong in ({"name": "ann", "password": "wrong"}, {"name": "bob", "password": ""}, {}):
        assert (await client.post("/login", data=wrong)).status == 401
    assert [(await client.get(path)).status for path in ("/", "/storage/account")] == [401, 401]

    welcome = await client.post("/login", data={"name": "ann", "password": "correct horse"})
    cookie = welcome.cookies["login"]
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("Strict", True, True)
    logged_in = {"Cookie": f"login={cookie.value}"}
    assert (await client.post("/storage/destinations", json=fields, headers=logged_in)).status == 200
    assert await (await client.get("/", headers=logged_in)).text() == "You have 1 of 50 destinations."
    assert (await client.post("/logout", headers=logged_in)).status == 200
    assert (await client.get("/storage/account", headers=logged_in)).status == 401


async def test_the_worker_delivers_what_is_in_its_outbox(
    config: Path, swift: StorageServer, fields: Mapping[str, object], tmp_path: Path
) -> None:
    """As a process of its own, until SIGTERM; what it can't hand over stays where it is."""
    async with open_destinations(load_settings(config, environ={})) as destinations:
        made = await destinations.create("ann", {**fields, "s3_path_prefix": "worker/%RESULT_SET_ID%"})
        collection = await destinations.dispatch.collections.create("ann", {"name": "F", "destination_ids": [made.id]})
    outbox = tmp_path / "outbox"
    for folder in (f"ann/{collection.id}/monday", f"ann/{collection.id}/tuesday", "ann/00000000/lost"):
        (outbox / folder).mkdir(parents=True)
        (outbox / folder / "visits.csv").write_text(folder)
    command = [sys.executable, str(EXAMPLES / "worker.py"), str(outbox), str(config)]
    worker = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env={**os.environ, "no_proxy": "*"})
    wanted = {"worker/1/visits.csv", "worker/2/visits.csv"}
    async with asyncio.timeout(30):
        while not wanted <= {*await swift.keys("test:tester", "demo-bucket")}:
            await asyncio.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    _, told = await asyncio.wait_for(worker.communicate(), 30)
    assert worker.returncode == 0, told
    assert (
        await swift.read("test:tester", "demo-bucket", "worker/2/visits.csv") == f"ann/{collection.id}/tuesday".encode()
    )
    assert [path.name for path in outbox.glob("*/*/*")] == ["lost"]
    assert b"lost stays where it is" in told and b"DeliveryEnded(account='ann'" in told
    async with open_destinations(load_settings(config, environ={})) as destinations:
        assert await example("worker").how_far(destinations, "ann", collection.id, 2) == {made.id: "success"}


async def test_the_answers_have_the_members_that_are_documented(
    config: Path, fields: Mapping[str, object], aiohttp_client: AiohttpClient
) -> None:
    """Of collections, result sets, deliveries and their uploads; and how deliveries to a destination go."""
    told = {title: {row[0] for row in rows("docs/reference.md", title)} for title in MEMBERS}
    client = await aiohttp_client(create_app(load_settings(config, environ={})), headers=AUTHORIZED)
    destination = (await answered(client, "/destinations", json=fields))["destination"]
    collection = {
        "name": "Figures",
        "destination_ids": [destination["id"]],
        "notification_webhook": "http://127.0.0.1:9",
    }
    made = (await answered(client, "/collections", json=collection))["collection"]
    assert destination["deliveries"].keys() == told["Deliveries of a destination"]
    assert made.keys() == told["Collections"]

    path = f"/collections/{made['id']}/results"
    await answered(client, path, data={"file": BytesIO(b"day,visits\n")})
    result = (await delivered(client, f"{path}/1"))["result"]
    assert result.keys() == told["Result sets"]
    assert result["destination_status"][destination["id"]].keys() == told["Delivery status"]
    async with asyncio.timeout(10):
        while (message := (await answered(client, f"{path}/1"))["result"]["webhook_status"]) is None:
            await asyncio.sleep(0.01)
    assert message.keys() == {"status", "log", "attempts", "next_attempt_at", "code"}

    listed = (await answered(client, "/deliveries"))["deliveries"][0]
    delivery = (await answered(client, f"/deliveries/{listed['id']}"))["delivery"]
    assert delivery.keys() == told["Deliveries"] | told["Delivery status"]
    assert delivery["uploads"][0].keys() == told["Uploads"]
    assert delivery.keys() - listed.keys() == {"uploads"}


async def answered(client: Client, path: str, **sent: Any) -> dict[str, Any]:
    """Return the answer to a request: a POST if there is something to send, otherwise a GET."""
    async with client.request("POST" if sent else "GET", path, **sent) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def test_a_store_without_its_key_starts_again_as_the_page_says(tmp_path: Path) -> None:
    """What is to be moved away is enough, and without that the service does not start."""
    storage = MemoryStorage("bucket")
    secrets = SecretsSettings(key_file=str(tmp_path / "secret.key"))
    settings = replace(loopback(), secrets=secrets, store=StoreSettings(path=str(tmp_path / "store")))
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        made = await destinations.create("ann", IN_TESTS.FIELDS)
        fields = {"name": "Figures", "destination_ids": [made.id], "notification_webhook": "http://127.0.0.1:9"}
        collection = await destinations.dispatch.collections.create("ann", fields)
        await destinations.deliver("ann", collection.id, [("visits.csv", b"day,visits\n")])
    (tmp_path / "secret.key").unlink()
    with pytest.raises(StoreUnusable):
        await open_destinations(settings, providers=[storage.provider]).__aenter__()
    for name in re.findall(r"`(\w+\.jsonl)`", paragraph("docs/security.md", "**The sealing key**")):
        (tmp_path / "store" / name).unlink(missing_ok=True)
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        assert (await destinations.list("ann")).total == 0
        assert await destinations.dispatch.results.kept("ann", collection.id) == []
    assert list((tmp_path / "store" / "spool" / "kept").iterdir()) == []


def test_the_example_of_a_receiver_believes_only_what_is_signed() -> None:
    (code,) = [code for page, code in blocks("python") if "standardwebhooks" in code]
    (told,) = [code for page, code in blocks("json") if "collection_resultset_completed" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    signed = signature.headers(Secret(secret), id="msg_1", timestamp=int(time.time()), body=told.encode())
    assert names["is_delivered"](secret, told.encode(), signed) is True
    failed = told.replace('"success"}}', '"failed"}}').encode()
    with pytest.raises(WebhookVerificationError):
        names["is_delivered"](secret, failed, signed)
    signed = signature.headers(Secret(secret), id="msg_1", timestamp=int(time.time()), body=failed)
    assert names["is_delivered"](secret, failed, signed) is False


async def test_the_parts_objects_serve_the_hosts_handlers(config: Path, aiohttp_client: AiohttpClient) -> None:
    (code,) = [code for page, code in blocks("python") if "def add_storage" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    app = web.Application()
    names["add_storage"](app, load_settings(config, environ={}))
    client = await aiohttp_client(app)
    assert await (await client.get("/how-many")).json() == {"destinations": 0}
