"""A destination type is added by writing one new file: it is found, described, keeps the contract, and can be used."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from consignee.body import BytesBody
from consignee.catalog import Catalog
from consignee.egress import Policy
from consignee.errors import NotAStorageService, VerificationFailed
from consignee.opening import open_destinations
from consignee.providers import Provider, discover
from consignee.secret import Secret
from consignee.settings import SecretsSettings, StoreSettings
from consignee.testing.buckets import BucketContract, Subject
from fakes import hostile, more_types
from fakes.scripted import Answer, Request, Server, scripted
from providers.opening import COMMON, Fields, loopback, opened

MAY = {"good-key": {"PUT", "DELETE"}, "weak-key": {"PUT"}}


@dataclass
class Shop:
    """What a toy shop keeps; it has one shelf."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        _, shelf, key = unquote(request.path).split("/", 2)
        if request.headers["x-toy-key"] not in MAY:
            return Answer(401)
        if shelf != "shelf":
            return Answer(404)
        if request.method not in MAY[request.headers["x-toy-key"]]:
            return Answer(403)
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return Answer(204)
        self.objects[key] = request.body
        return Answer(200, {"ETag": hashlib.md5(request.body).hexdigest()})


@pytest.fixture
def toy() -> Provider:
    """The type, found in its folder as the built-in ones are in theirs."""
    return discover(more_types.__path__, more_types.__name__)["toy"]


@pytest.fixture
def shop() -> Shop:
    """An empty shop."""
    return Shop()


@pytest.fixture
async def server(shop: Shop) -> AsyncIterator[Server]:
    """The shop, open."""
    async with scripted(shop) as server:
        yield server


@pytest.fixture
def fields(server: Server) -> Fields:
    """A working destination."""
    return COMMON | {"type": "toy", "toy_key": "good-key", "toy_endpoint": server.url, "toy_shelf": "shelf"}


class TestToy(BucketContract):
    @pytest.fixture
    def subject(self, toy: Provider, shop: Shop, fields: Fields) -> Subject:
        async def keys() -> list[str]:
            return sorted(shop.objects)

        async def read(key: str) -> bytes:
            return shop.objects[key]

        return Subject(
            provider=toy,
            fields=fields,
            settings=loopback(),
            wrong_secret={"toy_key": "wrong"},
            no_bucket={"toy_shelf": "no-such-shelf"},
            no_delete={"toy_key": "weak-key"},
            keys=keys,
            read=read,
        )


def test_it_is_described_beside_the_others(toy: Provider) -> None:
    catalog = Catalog([*discover().values(), toy], Policy())
    described = {one["type"]: one for one in catalog.describe()}
    assert set(described) == {*discover(), "toy"}
    assert described["toy"]["label"] == "Toy shop"
    fields = {one["name"]: one for one in described["toy"]["fields"]}
    assert list(fields) == ["name", "enabled", "toy_key", "toy_endpoint", "toy_shelf", "toy_path_prefix"]
    assert fields["toy_key"] == {
        "name": "toy_key",
        "label": "Key",
        "required": True,
        "secret": True,
        "help": "",
        "choices": [],
        "multiline": False,
        "unless": None,
    }
    assert "%COLLECTION_NAME%" in fields["toy_path_prefix"]["help"]


async def test_it_can_be_used(toy: Provider, shop: Shop, fields: Fields, server: Server, tmp_path: Path) -> None:
    """Proven by the same connectivity test, sealed and kept like the built-in types."""
    settings = replace(
        loopback(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key=Secret("11" * 32)),
    )
    async with open_destinations(settings, providers=[toy]) as destinations:
        made = await destinations.create("someone", {**fields, "toy_path_prefix": "%DATE%"})
        with pytest.raises(VerificationFailed) as failed:
            await destinations.create("someone", {**fields, "toy_key": "wrong"})
    assert [request.method for request in server.requests] == ["PUT", "DELETE", "PUT"]
    assert server.requests[0].path.startswith("/shelf/2000_01_01/consignee-test-")
    assert shop.objects == {}
    assert failed.value.report.code == "credentials_rejected"
    async with open_destinations(settings, providers=[toy]) as destinations:
        assert await destinations.get("someone", made.id) == made
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert made.id.encode() in stored
    assert b"good-key" not in stored


async def test_the_operators_endpoint_is_for_it_too(toy: Provider, fields: Fields, server: Server) -> None:
    async with hostile.accepting() as elsewhere:
        async with opened(toy, {**fields, "toy_endpoint": elsewhere.url}, loopback(toy=server.url)) as bucket:
            await bucket.delete("x")
        assert elsewhere.connections == 0
    assert [request.path for request in server.requests] == ["/shelf/x"]


async def test_who_gives_no_receipt_is_no_shop(toy: Provider, fields: Fields) -> None:
    async with hostile.html() as server, opened(toy, {**fields, "toy_endpoint": server.url}, loopback()) as bucket:
        with pytest.raises(NotAStorageService):
            await bucket.put("x", BytesBody(b"x"))
