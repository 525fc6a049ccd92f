"""A storage of any vendor's that is content with everything; it gives out tokens as well."""

import hashlib
import json
from base64 import b64encode
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fakes.multipart import BEGUN, completed
from fakes.scripted import Answer, Request

TOKEN: Final = "ya29.canary-of-a-token-0123456789"
SESSION: Final = "canary-of-a-session-0123456789"


def obliging(request: Request, *, scheme: str = "http") -> Answer:
    """Answer as the vendor would to whom this request is made, as far as the request shows that."""
    url = urlsplit(request.path)
    query = parse_qs(url.query, keep_blank_values=True)
    if request.method == "DELETE":
        return Answer(204)
    if request.method == "GET":
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        return Answer(206, {"Content-Range": f"bytes {first}-{last}/*"}, bytes(last - first + 1))
    if url.path.endswith("/token"):
        return Answer(200, {}, json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode())
    if "upload_id" in query or query.get("uploadType") == ["media"]:
        return _made(request)
    if "uploadType" in query:
        place = f"{scheme}://{request.headers['host']}/upload/storage/v1/b/files/o?upload_id={SESSION}"
        return Answer(200, {"Location": place})
    if request.method == "POST":
        body = BEGUN.encode() if "uploads" in query else completed("any")
        return Answer(200, {"Content-Type": "application/xml", "ETag": '"any"'}, body)
    digest = hashlib.md5(request.body).hexdigest()
    return Answer(200, {"ETag": f'"{digest}"', "x-ms-request-id": "0ddba11d-001e-0012-3456-789abcdef012"})


def _made(request: Request) -> Answer:
    digest = b64encode(hashlib.md5(request.body).digest()).decode()
    whole = "content-range" not in request.headers
    made = {"bucket": "files", "name": "key", **({"md5Hash": digest} if whole else {})}
    return Answer(200, {}, json.dumps(made).encode())
