"""A storage that answers anything: what is right, what is nearly right, and what no storage would say; the same for one seed."""

import hashlib
import json
import random
from collections.abc import AsyncGenerator, Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fakes.multipart import BEGUN, UPLOAD, completed
from fakes.scripted import Answer, Request

_TOKEN: Final = {"access_token": "ya29.canary-of-a-token-0123456789", "expires_in": 3600}
_CODES: Final = (
    *("NoSuchUpload", "InvalidPart", "NoSuchKey", "NoSuchBucket", "AccessDenied", "SlowDown", "InternalError"),
    *("InvalidBlockList", "BlobNotFound", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed", "Nobody_knows"),
)
_STATUSES: Final = (
    *(*[200] * 6, 201, 202, 204, 206, 301, 304, 307, 308),
    *(400, 403, 404, 409, 410, 412, 429, 499, 500, 503, 999),
)
_REGIONS: Final = ("eu-west-1", "", "no region", "r" * 63)
_MADE: Final = b'{"bucket": "files", "name": "key"}'
_BODIES: Final = (
    *(b"", b"queued", b"<html><body>It works!</body></html>", b"<a>" * 20_000, b"\xff\xfe\x00<"),
    *(BEGUN.encode(), BEGUN.encode()[:-20], BEGUN.replace(UPLOAD, "u" * 3000).encode()),
    *(completed("any"), completed("e" * 5000)),
    *(b"[" * 50_000, b"[]", b"{}", _MADE),
    *(b'{"access_token": 1, "expires_in": "x"}', b'{"access_token": "t", "expires_in": 1e999}'),
)


class Arbitrary:
    """Answers by chance. Every third answer or so is one that could be right for any of the vendors."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._asked: Request | None = None

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        self._asked = request
        if self._random.random() < 0.35:
            return self._right(request)
        if self._random.random() < 0.04:
            return Answer(raw=_pieces(self._random.choice([b"", b"\x00\xff", b"HTTP/1.1 200", _CUT, _ENDLESS])))
        status = self._random.choice(_STATUSES)
        return Answer(status, self._headers(request), b"" if status in (204, 304) else self._body())

    def _right(self, request: Request) -> Answer:
        if request.method == "DELETE":
            return Answer(204)
        if urlsplit(request.path).path.endswith("/token"):
            return Answer(200, {}, json.dumps(_TOKEN).encode())
        headers = {"ETag": f'"{_md5(request.body)}"', "x-ms-request-id": "id-1", "Location": _session(request)}
        body = self._random.choice([BEGUN.encode(), completed(_md5(b"")), _MADE])
        return Answer(200, headers, body)

    def _headers(self, request: Request) -> dict[str, str]:
        """Return some of what means something to a provider, rarely what it should be."""
        choices: dict[str, Callable[[], str]] = {
            "ETag": lambda: self._pick(f'"{_md5(request.body)}"', _md5(b"other"), '""', "e" * 5000, self._repeated()),
            "Location": lambda: self._pick(_session(request), "http://127.0.0.1:9/", "http://[", "/x", "\x80" * 9),
            "Range": lambda: self._pick("bytes=0-9", "bytes=0-262143", "bytes=0-99999", "bytes=7-", "what"),
            "Content-MD5": lambda: self._pick("AAAA", ""),
            "Content-Type": lambda: self._pick("text/html", "application/xml", "a; charset=nobody-knows"),
            "Retry-After": lambda: self._pick("0", "soon", "-1", "9" * 50),
            "Date": lambda: self._pick("Fri, 02 Jan 0001 03:04:05 +2359", "now"),
            "x-goog-hash": lambda: self._pick("md5=AAAA", "=,=,", "crc32c"),
            "x-oss-hash-crc64ecma": lambda: self._pick("1", "9" * 20, "-"),
            "x-amz-bucket-region": lambda: self._pick(*_REGIONS, self._repeated()[:63]),
            "x-amz-server-side-encryption": lambda: self._pick("aws:kms", "\x80"),
            "x-amz-request-id": lambda: self._pick("4442587FB7D0A2F9", self._repeated()),
            "x-oss-request-id": lambda: self._pick("656c76696e6727732072657175657374", self._repeated()),
            "x-ms-request-id": lambda: self._pick("0ddba11d-001e-0012-3456-789abcdef012", self._repeated()),
            "x-guploader-uploadid": lambda: self._pick("ABg5-Ux" * 14, self._repeated()),
            "x-ms-error-code": lambda: self._pick(*_CODES, self._repeated()),
        }
        return {name: choose() for name, choose in choices.items() if self._random.random() < 0.3}

    def _body(self) -> bytes:
        code = self._pick(*_CODES, self._repeated())
        id_, region = self._repeated(), self._pick(*_REGIONS)
        document = f"<Error><Code>{code}</Code><RequestId>{id_}</RequestId><Region>{region}</Region></Error>".encode()
        refusals = [
            *(document, document, document[:-9], document.replace(b"Error", b"Odd")),
            *(_error(code), _error({"errors": [{"reason": code}], "code": 400}), _error({"errors": [{"reason": [1]}]})),
        ]
        return self._random.choice([*_BODIES, *refusals, *refusals, self._random.randbytes(200_000)])

    def _repeated(self) -> str:
        """Return something that the request proved its right with, or the beginning of it."""
        proof = self._random.choice(proofs(self._asked)) if self._asked else ""
        return proof[: self._random.choice([40, 120, len(proof)])]

    def _pick(self, *values: str) -> str:
        return self._random.choice(values)


def proofs(request: Request) -> list[str]:
    """Return what a request proves its right with: a signature, a token, the secret in the address of a session."""
    query = dict(parse_qsl(urlsplit(request.path).query))
    queried = [query[name] for name in ("sig", "x-oss-signature", "upload_id") if name in query]
    asserted = [value for name, value in parse_qsl(request.body.decode("latin-1")) if name == "assertion"]
    authorized = request.headers.get("authorization", "")
    proof = authorized.rpartition("Signature=")[2].removeprefix("Bearer ")
    return [*queried, *asserted, *filter(None, [proof])] or [""]


_CUT: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Error>"
_ENDLESS: Final = b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n"


async def _pieces(piece: bytes) -> AsyncGenerator[bytes, None]:
    yield piece


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def _session(request: Request) -> str:
    return f"http://{request.headers['host']}/upload/storage/v1/b/files/o?upload_id=ABg5-canary-of-a-session-0123456789"


def _error(error: object) -> bytes:
    return json.dumps({"error": error}).encode()
