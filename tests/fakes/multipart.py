"""Answers of S3 to the calls of an upload in parts, as a test wants them; it checks no signature."""

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from fakes.scripted import Answer, Request

UPLOAD = "upload/1+2=="
BEGUN = f"<InitiateMultipartUploadResult><UploadId>{UPLOAD}</UploadId></InitiateMultipartUploadResult>"
XML = {"Content-Type": "application/xml"}


def refusal(code: str, status: int = 400, **more: str) -> Answer:
    """Return a refusal as S3 writes it."""
    elements = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    return Answer(status, XML, f"<Error><Code>{code}</Code>{elements}</Error>".encode())


def step(request: Request) -> str:
    """Return which call it is: begin, part, complete, abort, or put and delete of a single object."""
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    if "uploads" in query:
        return "begin"
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[request.method]
    return request.method.lower()


class Multipart:
    """Takes everything. `instead` holds the answers for the next calls of a kind; `headers` are added to successes."""

    def __init__(self, *, headers: Mapping[str, str] | None = None, etag: str | None = None) -> None:
        self.instead: dict[str, list[Answer]] = {}
        self.steps: list[str] = []
        self._headers = dict(headers or {})
        self._etag = etag
        self._parts: dict[int, bytes] = {}

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        called = step(request)
        self.steps.append(called)
        if waiting := self.instead.get(called):
            return waiting.pop(0)
        return {
            "begin": lambda: Answer(200, XML, BEGUN.encode()),
            "part": lambda: self._part(request),
            "put": lambda: self._part(request),
            "complete": self._complete,
        }.get(called, lambda: Answer(204))()

    def _part(self, request: Request) -> Answer:
        number = int(parse_qs(urlsplit(request.path).query).get("partNumber", ["1"])[0])
        self._parts[number] = hashlib.md5(request.body).digest()
        return Answer(200, {"ETag": f'"{self._etag or self._parts[number].hex()}"', **self._headers})

    def _complete(self) -> Answer:
        joined = hashlib.md5(b"".join(self._parts[number] for number in sorted(self._parts))).hexdigest()
        etag = self._etag or f"{joined}-{len(self._parts)}"
        return Answer(200, {**XML, **self._headers}, completed(etag))


def completed(etag: str) -> bytes:
    """Return what a completion answers."""
    return f"<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>".encode()
