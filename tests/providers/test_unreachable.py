"""Nobody is there: no answer from the name service, nobody who listens, nobody who takes the connection; for each type."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

import pytest

from consignee.body import BytesBody
from consignee.delivery import webhook
from consignee.errors import EndpointUnreachable, ProviderFailure, TimedOut
from consignee.outlets import Outlets, open_outlets
from consignee.secret import Secret
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Parts
from fakes import hostile
from fakes.resolver import FixedResolver
from providers.kinds import KINDS, Kind
from providers.opening import draft_of, loopback

NAME: Final = "s3.localhost"
LIMIT: Final = 0.3
"""Seconds, where they are to be over."""
LONG: Final = 60.0


@contextmanager
def overcrowded() -> Iterator[str]:
    """Yield the URL of a server that takes no more connections: what is sent to it is dropped."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(100):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
            if not select.select([], [waiting], [], 0.1)[1]:
                break
        else:
            pytest.fail("the backlog is never full")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def named() -> Iterator[str]:
    """Yield a URL with a name."""
    yield f"http://{NAME}:9000"


@dataclass(frozen=True)
class Absence:
    """Where nobody is, and how that is to be called."""

    place: Callable[[], object]
    failure: type[ProviderFailure]
    resolver: Callable[[], FixedResolver] = FixedResolver

    @property
    def limit(self) -> float:
        """How many seconds there are to find it out."""
        return LIMIT if self.failure is TimedOut else LONG


ABSENCES: Final = {
    "the name does not exist": Absence(named, EndpointUnreachable),
    "the name service is down": Absence(named, EndpointUnreachable, lambda: FixedResolver(failing=[NAME])),
    "the name service hangs": Absence(named, TimedOut, lambda: FixedResolver(hanging=[NAME])),
    "nobody listens": Absence(hostile.refusing, EndpointUnreachable),
    "nobody accepts": Absence(overcrowded, TimedOut),
}


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """See that no task and no socket is left behind."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    yield
    await assert_nothing_stays(tasks, sockets)


async def refused(kind: Kind, outlets: Outlets, url: str, absence: Absence) -> None:
    """Ask for each operation."""
    transport = outlets.transport(kind.provider)
    transport.parts, transport._idle = Parts(threshold=100, size=100, at_once=2, tries=1), absence.limit
    draft = draft_of(kind.provider, kind.fields_at(url), kind.settings_at(url))
    async with kind.provider.open(draft, {}, transport) as bucket:
        for attempt in (
            bucket.put("key", BytesBody(b"x")),
            bucket.delete("key"),
            bucket.put("key", BytesBody(bytes(300))),
        ):
            with pytest.raises(absence.failure) as failed:
                await attempt
            told = f"{failed.value!r} {failed.value.hint} {failed.value.__cause__!r}"
            assert failed.value.transient
            assert not [secret for secret in kind.secrets if secret in told]


@pytest.mark.parametrize("absence", ABSENCES.values(), ids=ABSENCES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_nobody_is_there(kind: Kind, absence: Absence) -> None:
    """Each operation fails in its time; where only the service's end frees what waits for a name, that does."""
    async with nothing_left():
        with absence.place() as url:  # type: ignore[attr-defined]
            settings = kind.settings_at(url)
            async with open_outlets(settings, resolver=absence.resolver()) as outlets:
                await refused(kind, outlets, url, absence)


@pytest.mark.parametrize("absence", ABSENCES.values(), ids=ABSENCES)
async def test_no_webhook_is_there(absence: Absence) -> None:
    async with nothing_left():
        with absence.place() as url:  # type: ignore[attr-defined]
            async with open_outlets(loopback(), resolver=absence.resolver()) as outlets:
                secret = Secret("whsec_bWFueSBieXRlcyBvZiBhIGNhbmFyeSBrZXk=")
                session = outlets.webhooks()
                sent = await webhook.send(session, url, secret, id="1", timestamp=0, content={}, timeout=absence.limit)
    assert replace(sent, ms=0) == webhook.Sent(ok=False, code=absence.failure.code, transient=True)
