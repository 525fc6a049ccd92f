"""Google's token endpoint and the parts of Cloud Storage's JSON API that write, read and delete, strictly.

https://cloud.google.com/storage/docs/json_api/v1 and, for the errors, its page on status codes. Over real sockets, plain
or with TLS; uploads in one request, and those in sessions.
"""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from email.utils import formatdate
from ssl import SSLContext
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from fakes.google_answers import JSON, described, failure, is_name, media
from fakes.google_oauth import TokenService
from fakes.google_sessions import Session, Sessions
from fakes.hostile import HTML
from fakes.scripted import Answer, Request, Responder, Server, scripted

HOSTS: Final = ("oauth2.googleapis.com", "storage.googleapis.com", "www.googleapis.com")
Right = Literal["create", "delete", "get"]
Fault = Callable[[Request, Responder], Answer]
"""What goes wrong: from the request and the one who would answer it well, to what is answered."""

_QUERY: Final = {"uploadType", "name"}
_BILLING: Final = "The billing account for the owning project is disabled in state absent"


class Google:
    """Service accounts, tokens and buckets. `objects` has each bucket's contents by name.

    `skew` is by how many seconds Google's clock is ahead of ours. `token_fault` and `storage_fault`, if set, spoil all
    answers; `unpaid` are the buckets whose project has no billing account.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.skew = 0.0
        self.oauth = TokenService(self.now)
        self.objects: dict[str, dict[str, bytes]] = {}
        self.rights: dict[str, Collection[Right]] = {}
        self.unpaid: set[str] = set()
        self.token_fault: Fault | None = None
        self.storage_fault: Fault | None = None
        self.sessions = Sessions(now=self.now, finish=self._finish)
        self._scheme = "http"

    def now(self) -> float:
        """Return what Google's clock shows, in seconds since 1970."""
        return self._now() + self.skew

    def service_account(self, email: str, *, may: Collection[Right] = ("create", "delete", "get")) -> dict[str, str]:
        """Create an account that may do this in every bucket, and return its JSON."""
        self.rights[email] = may
        return self.oauth.service_account(email)

    def create_bucket(self, name: str) -> dict[str, bytes]:
        """Create the bucket and return its objects."""
        return self.objects.setdefault(name, {})

    def serving(self, *, tls: SSLContext | None = None) -> AbstractAsyncContextManager[Server]:
        """Serve both, the token endpoint at `/token`."""
        self._scheme = "https" if tls else "http"
        return scripted(self.answer, tls=tls)

    def answer(self, request: Request) -> Answer:
        """Answer any request."""
        token = urlsplit(request.path).path == "/token"
        fault = self.token_fault if token else self.storage_fault

        def respond(request: Request) -> Answer:
            return self._headed(self.oauth.answer(request) if token else self._storage(request), upload_id=not token)

        return self._headed(fault(request, respond), upload_id=not token) if fault else respond(request)

    def _headed(self, answer: Answer, *, upload_id: bool) -> Answer:
        headers = {"Date": formatdate(self.now(), usegmt=True)}
        if upload_id:
            headers["X-GUploader-UploadID"] = secrets.token_urlsafe(40)
        else:
            headers["Connection"] = "close"  # so that no connection stays for what is asked for once in an hour
        return replace(answer, headers={**headers, **answer.headers})

    def _storage(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        email = self.oauth.holder(request.headers.get("authorization", ""))
        if request.method in ("PUT", "DELETE") and url.path.startswith("/upload/") and "upload_id=" in url.query:
            # A token is not needed there, but one that is sent must be good.
            refused = "authorization" in request.headers and email is None
            return _unauthenticated(request) if refused else self.sessions.answer(url.query, request)
        if email is None:
            return _unauthenticated(request)
        match request.method, *url.path.split("/")[1:]:
            case "POST", "upload", "storage", "v1", "b", bucket, "o":
                return self._upload(email, unquote(bucket), url.query, request)
            case "DELETE", "storage", "v1", "b", bucket, "o", name:
                return self._delete(email, unquote(bucket), unquote(name, errors="strict"))
            case "GET", "storage", "v1", "b", bucket, "o", name if url.query == "alt=media":
                return self._read(email, unquote(bucket), unquote(name, errors="strict"), request)
        return Answer(404, {"Content-Type": "text/html; charset=UTF-8"}, b"Not Found")

    def _upload(self, email: str, bucket: str, query: str, request: Request) -> Answer:
        asked = parse_qsl(query, keep_blank_values=True, errors="strict")
        given = dict(asked)
        if len(asked) != len(given) or given.get("uploadType") not in ("media", "resumable") or given.keys() - _QUERY:
            return failure(400, "invalid", "Only uploads in one request and in sessions are served here.")
        if given["uploadType"] == "resumable":
            named = given.get("name")
            return self._refused(email, bucket, ["create"]) or self.sessions.begin(
                email, bucket, named, request, scheme=self._scheme
            )
        name = given.get("name", "")
        if not is_name(name):
            return failure(400, "required" if not name else "invalid", "Required parameter: name")
        return self._keep(email, bucket, name, request.body, request.headers.get("content-type", ""))

    def _finish(self, session: Session) -> Answer:
        about = session.about
        return self._keep(session.email, session.bucket, about["name"], bytes(session.content), about["contentType"])

    def _keep(self, email: str, bucket: str, name: str, content: bytes, kind: str) -> Answer:
        # To replace an object is to delete the one before.
        needed: list[Right] = ["create", "delete"] if name in self.objects.get(bucket, {}) else ["create"]
        if refused := self._refused(email, bucket, needed):
            return refused
        self.objects[bucket][name] = content
        return described(bucket, name, content, kind=kind, now=self.now())

    def _delete(self, email: str, bucket: str, name: str) -> Answer:
        if refused := self._refused(email, bucket, ["delete"]):
            return refused
        if self.objects[bucket].pop(name, None) is None:
            return failure(404, "notFound", f"No such object: {bucket}/{name}")
        return Answer(204, {"Content-Type": "application/json"})

    def _read(self, email: str, bucket: str, name: str, request: Request) -> Answer:
        if refused := self._refused(email, bucket, ["get"]):
            return refused
        found = self.objects[bucket].get(name)
        if found is None:
            return Answer(
                404, {"Content-Type": "text/html; charset=UTF-8"}, f"No such object: {bucket}/{name}".encode()
            )
        return media(found, request.headers.get("range", ""))

    def _refused(self, email: str, bucket: str, needed: Collection[Right]) -> Answer | None:
        if bucket not in self.objects:
            return failure(404, "notFound", "The specified bucket does not exist.")
        if bucket in self.unpaid:
            return failure(403, "accountDisabled", _BILLING, **_AT_AUTHORIZATION)
        for right in needed:
            if right not in self.rights[email]:
                return failure(403, "forbidden", _no_access(email, right))
        return None


_AT_AUTHORIZATION: Final = {"locationType": "header", "location": "Authorization"}


def _unauthenticated(request: Request) -> Answer:
    if "authorization" in request.headers:
        return failure(401, "authError", "Invalid Credentials", **_AT_AUTHORIZATION)
    right: Right = "delete" if request.method == "DELETE" else "create"
    return failure(401, "required", _no_access("Anonymous caller", right), **_AT_AUTHORIZATION)


def _no_access(who: str, right: Right) -> str:
    permission = f"storage.objects.{right}"
    return (
        f"{who} does not have {permission} access to the Google Cloud Storage object. "
        f"Permission '{permission}' denied on resource (or it may not exist)."
    )


class Resolver(AbstractResolver):
    """Leads Google's own names to the fake at that port of this machine; no other name exists."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address; raises socket.gaierror."""
        if host not in HOSTS:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing is held."""


def always(answer: Answer) -> Fault:
    """The same answer to everything."""
    return lambda _request, _responder: answer


throttled: Final = always(
    failure(429, "rateLimitExceeded", "The rate limit was exceeded. Please reduce your rate.", domain="usageLimits")
)
unavailable: Final = always(failure(503, "backendError", "Backend Error"))
internal_error: Final = always(failure(500, "internalError", "We encountered an internal error. Please try again."))
lying_html: Final = always(Answer(200, {"Content-Type": "text/html; charset=utf-8"}, HTML))


def redirected(location: str, *, status: int = 302) -> Fault:
    """A redirect of everything to there."""
    return always(Answer(status, {"Location": location}))


def lying_json(request: Request, responder: Responder) -> Answer:
    """200 and the description of another object, in another bucket; nothing is done."""
    other: Mapping[str, str] = {"kind": "storage#object", "bucket": "another", "name": "another", "size": "7"}
    return Answer(200, JSON, json.dumps(other).encode())


def hanging(request: Request, responder: Responder) -> Answer:
    """No answer, ever; nothing is done."""
    return Answer(raw=_never())


def slow(seconds: float) -> Fault:
    """The good answer, so much later."""
    return lambda request, responder: Answer(raw=_later(responder(request), seconds))


def cut_off(request: Request, responder: Responder) -> Answer:
    """What was asked is done, but the connection breaks in the middle of the answer."""
    whole = responder(request).encode()
    return Answer(raw=_bytes(whole[: len(whole) // 2]))


async def _bytes(part: bytes) -> AsyncGenerator[bytes, None]:
    yield part


async def _never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def _later(answer: Answer, seconds: float) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(seconds)
    yield Answer(answer.status, {**answer.headers, "Connection": "close"}, answer.body).encode()
