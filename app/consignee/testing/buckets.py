"""What every Bucket promises. The test of a destination type is a fixture `subject`, and what is special about it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import pytest
from aiohttp.abc import AbstractResolver

from consignee.body import BytesBody
from consignee.errors import AccessDenied, BucketNotFound, CredentialsRejected
from consignee.providers import Bucket, Provider
from consignee.settings import Settings
from consignee.testing.bodies import StalledBody, StreamedBody
from consignee.testing.large import LargeBodies
from consignee.testing.opening import Fields, opened
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Parts

ODD_KEYS = (
    "a folder/a name with spaces.txt",
    "ünïcode/日本語/🗂.txt",
    "plus+sign",
    "per%cent/100%/%2F%2e%2e",
    "tilde~dot.dash-under_score",
    "quote'double\"paren(star*)bang!",
    "query?a=b&c=d;e#fragment",
    "at@colon:comma,dollar$equals=",
    "...three dots/.hidden",
    "k" * 1024,
    "é" * 512,
)


async def _none() -> list[str]:
    return []


SMALL_PARTS: Final = Parts(threshold=262_144, size=262_144, at_once=2, pause=0.01)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A provider with a working destination, what makes it fail, and a way to look into the bucket.

    `fields` are those of the type, and `settings` allow the way to the server, as `loopback` does. `wrong_secret`, `no_bucket`
    and `no_delete`, a key that may write but not delete, are what to change in them. `keys` lists what the bucket holds, `read`
    returns one object: past the provider, for it is not believed.

    `forbidding` is the provider to use with `no_delete`, if it is another; `longest` is what a key may have, in bytes.
    `parts` says how large bodies are sent, and `unfinished` lists the keys of uploads in parts that are neither completed nor
    aborted, where the server can.
    """

    provider: Provider
    fields: Fields
    settings: Settings
    wrong_secret: Fields
    no_bucket: Fields
    no_delete: Fields
    keys: Callable[[], Awaitable[list[str]]]
    read: Callable[[str], Awaitable[bytes]]
    forbidding: Provider | None = None
    resolver: AbstractResolver | None = field(default=None)
    longest: int = 1024
    parts: Parts = SMALL_PARTS
    unfinished: Callable[[], Awaitable[list[str]]] = _none

    def open(self, **changes: str) -> AbstractAsyncContextManager[Bucket]:
        """Open the bucket, with some fields changed."""
        return self._opened(self.provider, changes)

    def open_forbidding(self) -> AbstractAsyncContextManager[Bucket]:
        """Open the bucket with a key that may write but not delete."""
        return self._opened(self.forbidding or self.provider, self.no_delete)

    def _opened(self, provider: Provider, changes: Fields) -> AbstractAsyncContextManager[Bucket]:
        fields = {**self.fields, **changes}
        return opened(provider, fields, self.settings, resolver=self.resolver, parts=self.parts)


class BucketContract(LargeBodies):
    """Inherit this, and give it a `subject`."""

    async def test_what_is_put_is_there_byte_for_byte(self, subject: Subject) -> None:
        content = bytes(range(256)) * 300
        async with subject.open() as bucket:
            await bucket.put("contract/put", BytesBody(content))
        assert await subject.read("contract/put") == content

    async def test_an_empty_object_can_be_put(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.put("contract/empty", BytesBody(b""))
        assert await subject.read("contract/empty") == b""

    async def test_a_streamed_body_arrives_whole(self, subject: Subject) -> None:
        parts = [bytes([number]) * 20_000 for number in range(10)]
        async with subject.open() as bucket:
            await bucket.put("contract/streamed", StreamedBody(*parts))
        assert await subject.read("contract/streamed") == b"".join(parts)

    async def test_put_replaces_what_is_there(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.put("contract/replaced", BytesBody(b"the first, longer content"))
            await bucket.put("contract/replaced", BytesBody(b"the second"))
        assert await subject.read("contract/replaced") == b"the second"

    async def test_delete_removes_this_object_and_no_other(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.put("contract/gone", BytesBody(b"x"))
            await bucket.put("contract/gone/not", BytesBody(b"x"))
            await bucket.delete("contract/gone")
        keys = await subject.keys()
        assert "contract/gone" not in keys
        assert "contract/gone/not" in keys

    async def test_to_delete_what_is_not_there_is_no_error(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.delete("contract/never-was")
        assert "contract/never-was" not in await subject.keys()

    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: key[:12])
    async def test_an_odd_key_is_kept_as_it_is(self, subject: Subject, key: str) -> None:
        """Signed, sent and stored alike, up to the longest: 1,024 bytes of UTF-8 nearly everywhere."""
        key = key.encode()[: subject.longest].decode(errors="ignore")
        async with subject.open() as bucket:
            await bucket.put(key, BytesBody(key.encode()))
            assert key in await subject.keys()
            assert await subject.read(key) == key.encode()
            await bucket.delete(key)
        assert key not in await subject.keys()

    async def test_a_wrong_secret_is_rejected(self, subject: Subject) -> None:
        """Also for a delete; and nothing is written."""
        async with subject.open(**subject.wrong_secret) as bucket:
            with pytest.raises(CredentialsRejected) as rejected:
                await bucket.put("contract/wrong-secret", BytesBody(b"x"))
            with pytest.raises(CredentialsRejected):
                await bucket.delete("contract/wrong-secret")
        assert rejected.value.code == "credentials_rejected"
        assert rejected.value.hint
        assert "contract/wrong-secret" not in await subject.keys()

    async def test_a_bucket_that_does_not_exist_is_not_found(self, subject: Subject) -> None:
        async with subject.open(**subject.no_bucket) as bucket:
            with pytest.raises(BucketNotFound):
                await bucket.put("contract/no-bucket", BytesBody(b"x"))

    async def test_who_may_write_but_not_delete_is_denied_only_the_delete(self, subject: Subject) -> None:
        async with subject.open_forbidding() as bucket:
            await bucket.put("contract/stays", BytesBody(b"x"))
            with pytest.raises(AccessDenied):
                await bucket.delete("contract/stays")
        assert "contract/stays" in await subject.keys()

    async def test_cancellation_leaves_no_task_and_no_socket(self, subject: Subject) -> None:
        """At once, while the bucket is still open; and no part of the object."""
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        body = StalledBody()
        async with subject.open() as bucket:
            putting = asyncio.create_task(bucket.put("contract/cancelled", body))
            await body.begun.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            await assert_nothing_stays(tasks, sockets)
        assert "contract/cancelled" not in await subject.keys()

    async def test_nothing_is_remembered_that_was_known(self, subject: Subject) -> None:
        """`found` is what the storage said meanwhile: on a plain success, nothing."""
        async with subject.open() as bucket:
            await bucket.put("contract/found", BytesBody(b"x"))
            assert bucket.found == {}

    async def test_no_secret_is_in_what_it_prints(self, subject: Subject) -> None:
        draft_secrets = {name for name in subject.wrong_secret if name in subject.fields}
        async with subject.open() as bucket:
            shown = repr(bucket) + str(vars(bucket))
        for name in draft_secrets:
            assert subject.fields[name] not in shown
