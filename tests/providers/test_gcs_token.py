"""One access token for all who use the same key at the same endpoint."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from consignee.body import BytesBody
from consignee.errors import CredentialsRejected
from consignee.outlets import Outlets, open_outlets
from consignee.providers import Bucket, gcs
from consignee.providers.gcs_token import TokenCache
from consignee.secret import Secret
from consignee.transport import Parts, Trace
from fakes.google import Google, always
from fakes.google_answers import failure
from fakes.google_sessions import QUANTUM
from fakes.scripted import Server
from providers.opening import COMMON, draft_of, loopback

EMAILS = [f"{name}@demo-project.iam.gserviceaccount.com" for name in ("writer", "other")]
BODY = BytesBody(b"content")
WHOLE = Parts()


@dataclass
class Issued:
    """What a token endpoint gave."""

    value: str
    expires_in: int = 3600


class Issuer:
    """A clock, and tokens one after the other; `asked` counts them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.lasts = 3600

    def clock(self) -> float:
        return self.now

    async def fetch(self) -> Issued:
        self.asked += 1
        await asyncio.sleep(0)
        return Issued(f"token {self.asked}", self.lasts)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


async def test_a_token_is_used_until_a_minute_before_its_end(issuer: Issuer) -> None:
    token = TokenCache(clock=issuer.clock).token(Secret("key"), "")
    for now, value in ((0.0, "token 1"), (3539.0, "token 1"), (3540.0, "token 2"), (7079.0, "token 2")):
        issuer.now = now
        assert (await token.get(issuer.fetch)).reveal() == value


@pytest.mark.parametrize(("lasts", "held"), [(-1, 60), (0, 60), (90, 60), (600, 540), (10**400, 3600)])
async def test_an_absurd_lifetime_is_not_believed(issuer: Issuer, lasts: int, held: int) -> None:
    token = TokenCache(clock=issuer.clock).token(Secret("key"), "")
    issuer.lasts = lasts
    for issuer.now, asked in ((0.0, 1), (held - 1.0, 1), (float(held), 2)):
        await token.get(issuer.fetch)
        assert issuer.asked == asked


async def test_many_at_once_ask_for_one_token(issuer: Issuer) -> None:
    token = TokenCache().token(Secret("key"), "")
    values = await asyncio.gather(*(token.get(issuer.fetch) for _ in range(50)))
    assert issuer.asked == 1
    assert set(values) == {Secret("token 1")}


async def test_who_gives_up_waiting_does_not_stop_the_others(issuer: Issuer) -> None:
    token = TokenCache().token(Secret("key"), "")
    asking = [asyncio.create_task(token.get(issuer.fetch)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert [one.reveal() for one in await asyncio.gather(*asking[1:])] == ["token 2"] * 2


async def test_a_refused_token_is_dropped_only_once(issuer: Issuer) -> None:
    """The second of two who were refused finds the new one."""
    token = TokenCache().token(Secret("key"), "")
    refused = await token.get(issuer.fetch)
    for _ in range(2):
        token.drop(refused)
        assert (await token.get(issuer.fetch)).reveal() == "token 2"


def test_a_token_is_found_by_the_whole_key_and_the_endpoint() -> None:
    cache = TokenCache()
    pairs = [("a", ""), ("a", "https://x"), ("ahttps://x", ""), ("b", ""), ("", "a")]
    assert len({id(cache.token(Secret(key), endpoint)) for key, endpoint in pairs}) == len(pairs)
    assert cache.token(Secret("a"), "") is cache.token(Secret("a"), "")


def test_only_so_many_are_kept_and_those_that_were_used_last() -> None:
    cache = TokenCache(most=2)
    first, second = (cache.token(Secret(key), "") for key in "ab")
    assert cache.token(Secret("a"), "") is first
    cache.token(Secret("c"), "")
    assert cache.token(Secret("a"), "") is first
    assert cache.token(Secret("b"), "") is not second


def test_neither_key_nor_token_is_printed() -> None:
    cache = TokenCache()
    token = cache.token(Secret("hunter2"), "")
    assert "hunter2" not in f"{vars(cache)} {vars(token)}"


@dataclass
class Service:
    """The strict fake and the sessions of one service."""

    google: Google
    server: Server
    outlets: Outlets

    def tokens_asked(self) -> int:
        """How often a token was asked for."""
        return [request.path for request in self.server.requests].count("/token")

    @asynccontextmanager
    async def bucket(
        self, account: Mapping[str, str], *, trace: Trace | None = None, parts: Parts = WHOLE
    ) -> AsyncIterator[Bucket]:
        """Yield the bucket, open for that account."""
        fields: dict[str, Any] = {"type": "gcs", "gcs_service_account_json": account, "gcs_bucket_name": "demo-bucket"}
        transport = self.outlets.transport(gcs.PROVIDER, trace)
        transport.parts = parts
        draft = draft_of(gcs.PROVIDER, COMMON | fields, loopback())
        async with gcs.PROVIDER.open(draft, {}, transport) as bucket:
            yield bucket


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    google = Google()
    google.create_bucket("demo-bucket")
    async with google.serving() as server, open_outlets(loopback(gcs=server.url)) as outlets:
        yield Service(google, server, outlets)


async def test_deliveries_of_one_account_share_a_token_and_those_of_another_do_not(service: Service) -> None:
    for email, asked in zip(EMAILS, (1, 2), strict=True):
        for number in range(3):
            async with service.bucket(service.google.service_account(email)) as bucket:
                await bucket.put(f"{email}/{number}", BODY)
        assert service.tokens_asked() == asked
    assert len(service.google.objects["demo-bucket"]) == 6


async def test_a_token_that_is_not_good_any_more_is_renewed_within_an_open_bucket(service: Service) -> None:
    """For each thing that is done with it: a small upload, the session of a large one, a delete."""
    large = BytesBody(bytes(QUANTUM + 1))
    async with service.bucket(service.google.service_account(EMAILS[0]), parts=Parts(threshold=QUANTUM)) as bucket:
        await bucket.put("key", BODY)
        for asked, do in enumerate(("put", "put large", "delete"), start=2):
            service.google.oauth.tokens.clear()
            if do == "delete":
                await bucket.delete("key")
            else:
                await bucket.put("large" if do == "put large" else "key", large if do == "put large" else BODY)
            assert service.tokens_asked() == asked
    assert list(service.google.objects["demo-bucket"]) == ["large"]


async def test_a_connectivity_test_takes_no_token_that_was_granted_before(service: Service) -> None:
    """A key that was deleted since must fail it, though its token holds for an hour."""
    account = service.google.service_account(EMAILS[0])
    async with service.bucket(account) as bucket:
        await bucket.put("key", BODY)
    service.google.oauth.disabled.add(EMAILS[0])
    async with service.bucket(account) as bucket:
        await bucket.put("key", BODY)
    async with service.bucket(account, trace=Trace()) as bucket:
        with pytest.raises(CredentialsRejected):
            await bucket.put("key", BODY)


async def test_a_token_that_is_refused_again_is_a_failure(service: Service) -> None:
    """And not asked for without end."""
    service.google.storage_fault = always(failure(401, "authError", "Invalid Credentials"))
    async with service.bucket(service.google.service_account(EMAILS[0])) as bucket:
        with pytest.raises(CredentialsRejected):
            await bucket.put("key", BODY)
    assert service.tokens_asked() == 2
