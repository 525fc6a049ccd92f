"""Crate keeps what every destination type promises. It is tested against a strict fake of it, not against patches."""

from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from consignee.testing import BucketContract, ServerContract, Subject, loopback, serving
from crate import PROVIDER

RIGHTS = {"Bearer good": {"PUT", "DELETE"}, "Bearer weak": {"PUT"}}


class FakeCrate:
    """Keeps the objects of one bucket, and refuses what Crate refuses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def answer(self, request: web.Request) -> web.Response:
        rights, key = RIGHTS.get(request.headers["Authorization"]), request.match_info["key"]
        if rights is None:
            return web.Response(status=401)
        if request.match_info["bucket"] != "reports":
            return web.Response(status=404)
        if request.method not in rights:
            return web.Response(status=403)
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        self.objects[key] = await request.read()
        return web.Response(status=201, headers={"ETag": '"1"'})

    async def keys(self) -> list[str]:
        return sorted(self.objects)

    async def read(self, key: str) -> bytes:
        return self.objects[key]


def crate_at(url: str, fake: FakeCrate) -> Subject:
    return Subject(
        provider=PROVIDER,
        fields={"crate_token": "good", "crate_bucket_name": "reports"},
        settings=loopback(crate=url),
        wrong_secret={"crate_token": "wrong"},
        no_bucket={"crate_bucket_name": "no-such-bucket"},
        no_delete={"crate_token": "weak"},
        keys=fake.keys,
        read=fake.read,
    )


class TestCrate(BucketContract):
    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        fake, app = FakeCrate(), web.Application()
        app.router.add_route("*", "/{bucket}/{key:.+}", fake.answer)
        with serving(app) as url:
            yield crate_at(url, fake)


class TestCrateElsewhere(ServerContract):
    @pytest.fixture
    def subject_at(self) -> Callable[[str], Subject]:
        return lambda url: crate_at(url, FakeCrate())
