"""A strict Alibaba Cloud OSS: it checks every signature, keeps what is put, and answers in the vendor's own words.

It takes PUT, GET and DELETE of an object, and uploads in parts. A bucket is the first label of the host, or with `path_style` the
first part of the path, which the vendor itself does not offer. The region of the endpoint is what follows `oss-` in the host,
or else `region`.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fakes import oss_access as access
from fakes import oss_answers as answers
from fakes.hostile import HTML
from fakes.oss_access import Operation, Place, User
from fakes.oss_answers import Error, Refusal
from fakes.oss_bodies import Content, converse, crc64
from fakes.oss_signature import parameters_of
from fakes.oss_uploads import Uploads
from fakes.scripted import Answer, Request, Server, listening


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
    only: Callable[[Request], bool] = lambda _: True  # which requests the last five are for


_NO_FAULTS = Switches()
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


@dataclass
class Oss:
    """A running server: `users` by access key id, `buckets` with their region, `objects` by bucket and key.

    `stored` has the length and the MD5 of each piece that an object was sent in, also if its bytes are not kept.
    """

    server: Server
    users: dict[str, User]
    buckets: dict[str, str]
    region: str
    path_style: bool
    clock: Callable[[], datetime]
    keeps_contents: bool = True
    objects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, dict[str, list[Content]]] = field(default_factory=dict)
    uploads: Uploads = field(default_factory=Uploads)
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

    @property
    def unfinished(self) -> list[str]:
        """The keys of all uploads in parts that are neither completed nor aborted."""
        return sorted(upload.place.key for upload in self.uploads.unfinished.values())

    def now(self) -> datetime:
        """Return the time by the server's clock."""
        return self.clock() + self.switches.clock_offset

    def respond(self, request: Request, content: Content) -> Answer:
        """Do what the request asks for, unless it is refused or a fault is switched on."""
        self.requests.append(request)
        request_id = f"{len(self.requests):024X}"
        faults = self.switches if self.switches.only(request) else _NO_FAULTS
        if faults.lies:
            return Answer(200, {"Content-Type": "text/html"}, HTML)
        if faults.redirect:
            return answers.plain(307, request_id, {"Location": faults.redirect})
        try:
            if faults.error:
                raise Refusal(faults.error)
            answer = self._done(request, content, request_id)
        except Refusal as refusal:
            answer = answers.refused(refusal, request_id=request_id, host=request.headers.get("host", ""))
        return _delivered(answer, faults)

    def _done(self, request: Request, content: Content, request_id: str) -> Answer:
        place = access.place_in(request, path_style=self.path_style, region=self.region)
        operation = self._admitted(request, place)
        access.check_digest(request, content.md5)
        asked = parameters_of(request)
        match operation:
            case Operation.PUT:
                return answers.plain(200, request_id, self._store(place, [content]) | {"ETag": content.etag})
            case Operation.GET:
                return self._read(place, request.headers.get("range", ""), request_id)
            case Operation.DELETE:
                self._remove(place)
            case Operation.BEGIN:
                elements = {"Bucket": place.bucket, "Key": place.key, "UploadId": self.uploads.begin(place)}
                return answers.told(request_id, "InitiateMultipartUploadResult", elements)
            case Operation.ADD:
                self.uploads.add(place, asked["uploadId"], asked["partNumber"], content)
                return answers.plain(200, request_id, _crc(content) | {"ETag": content.etag})
            case Operation.COMPLETE:
                parts = self.uploads.complete(place, asked["uploadId"], request.body)
                return self._completed(place, parts, request_id)
            case Operation.ABORT:
                self.uploads.abort(place, asked["uploadId"])
        return answers.plain(204, request_id)

    def _completed(self, place: Place, parts: list[Content], request_id: str) -> Answer:
        etag = f'"{hashlib.md5(b"".join(part.md5 for part in parts)).hexdigest().upper()}-{len(parts)}"'
        elements = {"Location": f"{self.url}{place.resource}", "Bucket": place.bucket, "Key": place.key, "ETag": etag}
        headers = self._store(place, parts) | {"ETag": etag}
        return answers.told(request_id, "CompleteMultipartUploadResult", elements, headers)

    def _store(self, place: Place, pieces: list[Content]) -> dict[str, str]:
        """Put the object in place; return the header that tells its checksum."""
        self.stored.setdefault(place.bucket, {})[place.key] = [replace(piece, data=None) for piece in pieces]
        objects = self.objects.setdefault(place.bucket, {})
        objects.pop(place.key, None)
        if not self.keeps_contents:
            return {}
        objects[place.key] = b"".join(piece.data or b"" for piece in pieces)
        return {"x-oss-hash-crc64ecma": str(crc64(objects[place.key]))}

    def _read(self, place: Place, wanted: str, request_id: str) -> Answer:
        """A range that can't be read is taken for none, as OSS does; one that begins after the end is refused."""
        found = self.objects.get(place.bucket, {}).get(place.key)
        if found is None:
            raise Refusal(answers.NO_SUCH_KEY, {"Key": place.key})
        if (match := _RANGE.fullmatch(wanted)) is None:
            return answers.plain(200, request_id, {}, found)
        first, last = int(match[1]), min(int(match[2] or len(found)), len(found) - 1)
        if first >= len(found):
            raise Refusal(answers.INVALID_RANGE, {"ActualObjectSize": str(len(found)), "RangeRequested": wanted})
        headers = {"Content-Range": f"bytes {first}-{last}/{len(found)}"}
        return answers.plain(206, request_id, headers, found[first : last + 1])

    def _remove(self, place: Place) -> None:
        for kept in (self.objects, self.stored):
            kept.setdefault(place.bucket, {}).pop(place.key, None)

    def _admitted(self, request: Request, place: Place) -> Operation:
        user = access.signer_of(request, place, users=self.users, now=self.now())
        access.check_account(request, place, user)
        self._check_bucket(place)
        operation = access.operation_of(request)
        access.check_right(operation, replace(user, may_delete=user.may_delete and not self.switches.no_delete))
        return operation

    def _check_bucket(self, place: Place) -> None:
        if place.bucket not in self.buckets:
            raise Refusal(answers.NO_SUCH_BUCKET, {"BucketName": place.bucket})
        region = self.switches.elsewhere or self.buckets[place.bucket]
        if region != place.region:
            endpoint = f"oss-{region}.aliyuncs.com"
            raise Refusal(answers.OTHER_ENDPOINT, {"Bucket": place.bucket, "Endpoint": endpoint})


def _crc(content: Content) -> dict[str, str]:
    return {} if content.crc is None else {"x-oss-hash-crc64ecma": str(content.crc)}


def _delivered(answer: Answer, faults: Switches) -> Answer:
    if faults.cut_off:
        return Answer(raw=_half(answer))
    if faults.delay:
        return Answer(raw=_late(answer, faults.delay))
    return answer


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
    keeps_contents: bool = True,
) -> AsyncIterator[Oss]:
    """Run a server on a free port: `users` by access key id, and the region of each bucket.

    Without `keeps_contents` it has lengths and digests alone, and tells no CRC: for large files in little memory.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, running.respond, lambda head: keeps_contents or head.method == "POST")

    async with listening(handle, tls=tls) as server:
        running = Oss(server, dict(users), dict(buckets), region, path_style, clock, keeps_contents)
        yield running
