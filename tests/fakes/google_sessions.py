"""Resumable uploads as Google's JSON API takes them, strictly.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from canaries import UPLOAD_SESSION
from fakes.google_answers import failure, is_name, md5_of
from fakes.scripted import Answer, Request

QUANTUM: Final = 256 * 1024
WEEK: Final = 7 * 24 * 3600
_KNOWN: Final = {"name", "contentType", "md5Hash"}
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")


@dataclass
class Session:
    """One upload; `made` is what its end was answered, which is what it answers from then on."""

    bucket: str
    email: str
    about: dict[str, Any]
    length: int | None
    until: float
    content: bytearray = field(default_factory=bytearray)
    made: Answer | None = None


Finish = Callable[[Session], Answer]
"""Makes the object of a session that is complete; anything but 200 leaves it unmade."""


class Sessions:
    """All sessions by their `upload_id`. `keeps`, if set, is how many bytes at most are kept of one request."""

    def __init__(self, *, now: Callable[[], float], finish: Finish) -> None:
        self._now = now
        self._finish = finish
        self.open: dict[str, Session] = {}
        self.keeps: int | None = None

    def unfinished(self) -> list[str]:
        """Return the names of the objects that were begun and neither finished nor cancelled."""
        return sorted(str(one.about["name"]) for one in self.open.values() if one.made is None)

    def begin(self, email: str, bucket: str, named: str | None, request: Request, *, scheme: str) -> Answer:
        """Answer a good token's wish for a session; `named` is the name in the query."""
        about = _about(request)
        length = request.headers.get("x-upload-content-length")
        if about is None or set(about) - _KNOWN or not (length is None or length.isdigit()):
            return failure(400, "parseError", "Parse Error")
        about = {"name": named, **about}
        if not is_name(about["name"]):
            return failure(400, "required", "Required parameter: name")
        about.setdefault("contentType", request.headers.get("x-upload-content-type", ""))
        id_ = UPLOAD_SESSION + secrets.token_urlsafe(48)
        self.open[id_] = Session(bucket, email, about, int(length) if length else None, self._now() + WEEK)
        location = f"{scheme}://{request.headers['host']}/upload/storage/v1/b/{bucket}/o"
        return Answer(200, {"Location": f"{location}?uploadType=resumable&upload_id={id_}"})

    def answer(self, query: str, request: Request) -> Answer:
        """Answer a request to a session, which needs no token."""
        given = parse_qs(query, strict_parsing=True)
        (id_,) = given.get("upload_id", [""])
        session = self.open.get(id_)
        if set(given) != {"uploadType", "upload_id"} or session is None:
            return failure(404, "notFound", "No such upload session.")
        if self._now() >= session.until:
            return failure(410, "gone", "The upload session has expired.")
        if request.method == "DELETE":
            return self._cancel(id_, session, request)
        return session.made or self._receive(id_, session, request)

    def _cancel(self, id_: str, session: Session, request: Request) -> Answer:
        if request.headers.get("content-length") != "0":
            return failure(411, "required", "Length Required")
        if session.made is None:
            del self.open[id_]
        return Answer(499, {"Content-Length": "0"})

    def _receive(self, id_: str, session: Session, request: Request) -> Answer:
        span = _span(request)
        if span is None or (session.length is not None and span[2] != session.length):
            return failure(400, "badContent", "Failed to parse Content-Range header.")
        first, end, total = span
        if first is not None and (first != len(session.content) or (end % QUANTUM and end != total)):
            return failure(400, "badContent", "Invalid request: not what follows, or not a multiple of 256 KiB.")
        session.content += request.body[: self.keeps] if end != total or self.keeps else request.body
        if len(session.content) < total or (first is None and total):
            return _incomplete(session)
        return self._complete(id_, session)

    def _complete(self, id_: str, session: Session) -> Answer:
        told, found = session.about.get("md5Hash"), md5_of(session.content)
        if told not in (None, found):
            del self.open[id_]
            return failure(400, "invalid", f'Provided MD5 hash "{told}" doesn\'t match calculated MD5 hash "{found}".')
        answer = self._finish(session)
        if answer.status == 200:
            session.made = answer
        return answer


def _about(request: Request) -> dict[str, Any] | None:
    if not request.body:
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    try:
        found = json.loads(request.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _span(request: Request) -> tuple[int | None, int, int] | None:
    """Return the first byte, the one after the last, and the total; without the header, the whole is sent at once."""
    text = request.headers.get("content-range")
    if text is None:
        return 0, len(request.body), len(request.body)
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    total = int(found[3])
    if found[1] is None:
        return (None, 0, total) if not request.body else None
    first, end = int(found[1]), int(found[2]) + 1
    return (first, end, total) if end - first == len(request.body) > 0 and end <= total else None


def _incomplete(session: Session) -> Answer:
    kept = len(session.content)
    return Answer(308, {"Content-Length": "0", **({"Range": f"bytes=0-{kept - 1}"} if kept else {})})
