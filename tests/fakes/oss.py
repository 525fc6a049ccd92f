"""A strict Alibaba Cloud OSS: it checks every signature, keeps what is put, and answers in the vendor's own words.

It takes PUT and DELETE of an object. A bucket is the first label of the host, or with `path_style` the first part of the path,
which the vendor itself does not offer. The region of the endpoint is what follows `oss-` in the host, or else `region`.
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fakes import oss_access as access
from fakes import oss_answers as answers
from fakes.hostile import HTML
from fakes.oss_access import Place, User
from fakes.oss_answers import Error, Refusal
from fakes.scripted import Answer, Request, Server, scripted


@dataclass
class Switches:
    """Faults, all off. Each may be set while the server runs, and holds until it is set back."""

    elsewhere: str = ""  # the region where all buckets turn out to be
    clock_offset: timedelta = timedelta()  # by how much the server's clock is ahead
    no_delete: bool = False  # for nobody
    error: Error | None = None  # for every request
    delay: float = 0.0  # seconds before the answer; what was asked for is done first
    cut_off: bool = False  # in the middle of the answer; what was asked for is done
    redirect: str = ""  # the Location for every request
    lies: bool = False  # a page with 200 and no ETag for every request, and nothing is done


@dataclass
class Oss:
    """A running server: `users` by access key id, `buckets` with their region, `objects` by bucket and key."""

    server: Server
    users: dict[str, User]
    buckets: dict[str, str]
    region: str
    path_style: bool
    clock: Callable[[], datetime]
    objects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)

    @property
    def url(self) -> str:
        """The endpoint with its port; for virtual hosts, put a name in place of 127.0.0.1 and resolve it."""
        return self.server.url

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self.server.port

    @property
    def requests(self) -> list[Request]:
        """All that was asked, refused or not."""
        return self.server.requests

    def now(self) -> datetime:
        """Return the time by the server's clock."""
        return self.clock() + self.switches.clock_offset

    def respond(self, request: Request) -> Answer:
        """Do what the request asks for, unless it is refused or a fault is switched on."""
        request_id = f"{len(self.requests):024X}"
        if self.switches.lies:
            return Answer(200, {"Content-Type": "text/html"}, HTML)
        if self.switches.redirect:
            return answers.plain(307, request_id, {"Location": self.switches.redirect})
        try:
            answer = self._done(request, request_id)
        except Refusal as refusal:
            answer = answers.refused(refusal, request_id=request_id, host=request.headers.get("host", ""))
        return self._delivered(answer)

    def _delivered(self, answer: Answer) -> Answer:
        if self.switches.cut_off:
            return Answer(raw=_half(answer))
        if self.switches.delay:
            return Answer(raw=_late(answer, self.switches.delay))
        return answer

    def _done(self, request: Request, request_id: str) -> Answer:
        if self.switches.error:
            raise Refusal(self.switches.error)
        place = access.place_in(request, path_style=self.path_style, region=self.region)
        self._admit(request, place)
        objects = self.objects.setdefault(place.bucket, {})
        if request.method == "DELETE":
            objects.pop(place.key, None)
            return answers.plain(204, request_id)
        access.check_digest(request)
        objects[place.key] = request.body
        return answers.plain(200, request_id, {"ETag": f'"{hashlib.md5(request.body).hexdigest().upper()}"'})

    def _admit(self, request: Request, place: Place) -> None:
        user = access.signer_of(request, place, users=self.users, now=self.now())
        access.check_account(request, place, user)
        self._check_bucket(place)
        access.check_operation(request, replace(user, may_delete=user.may_delete and not self.switches.no_delete))

    def _check_bucket(self, place: Place) -> None:
        if place.bucket not in self.buckets:
            raise Refusal(answers.NO_SUCH_BUCKET, {"BucketName": place.bucket})
        region = self.switches.elsewhere or self.buckets[place.bucket]
        if region != place.region:
            endpoint = f"oss-{region}.aliyuncs.com"
            raise Refusal(answers.OTHER_ENDPOINT, {"Bucket": place.bucket, "Endpoint": endpoint})


async def _half(answer: Answer) -> AsyncGenerator[bytes, None]:
    encoded = answer.encode()
    yield encoded[: len(encoded) // 2]


async def _late(answer: Answer, delay: float) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(delay)
    yield Answer(answer.status, {**answer.headers, "Connection": "close"}, answer.body).encode()


@asynccontextmanager
async def oss_server(
    users: Mapping[str, User],
    buckets: Mapping[str, str],
    *,
    region: str = "cn-hangzhou",
    path_style: bool = False,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Oss]:
    """Run a server on a free port: `users` by access key id, and the region of each bucket."""
    async with scripted(lambda request: running.respond(request), tls=tls) as server:
        running = Oss(server, dict(users), dict(buckets), region, path_style, clock)
        yield running
