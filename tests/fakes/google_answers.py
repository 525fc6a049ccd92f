"""What Google's JSON API answers: an object's description, and its errors."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from fakes.scripted import Answer

_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]*)")
JSON: Final = {"Content-Type": "application/json; charset=UTF-8"}


def failure(status: int, reason: str, message: str, *, domain: str = "global", **where: str) -> Answer:
    """Return an error as the JSON API words it."""
    first = {"message": message, "domain": domain, "reason": reason, **where}
    body = {"error": {"code": status, "message": message, "errors": [first]}}
    return Answer(status, JSON, json.dumps(body, indent=1).encode())


def md5_of(content: bytes | bytearray) -> str:
    """Return the digest as the JSON API writes it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def described(bucket: str, name: str, content: bytes, *, kind: str, now: float) -> Answer:
    """Return the answer to an upload that is complete."""
    generation = str(int(now * 1_000_000))
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    about = {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{quote(name, safe='')}",
        "name": name,
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "contentType": kind or "application/octet-stream",
        "storageClass": "STANDARD",
        "size": str(len(content)),
        "md5Hash": md5_of(content),
        "etag": base64.b64encode(generation.encode()).decode(),
        "timeCreated": at,
        "updated": at,
    }
    return Answer(200, JSON, json.dumps(about).encode())


def media(content: bytes, wanted: str) -> Answer:
    """Return the content itself, or that range of it."""
    kind = {"Content-Type": "application/octet-stream"}
    if (match := _RANGE.fullmatch(wanted)) is None:
        return Answer(200, kind, content)
    first, last = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
    if first >= len(content):
        return Answer(416, {"Content-Type": "text/html; charset=UTF-8"}, b"The requested range cannot be satisfied.")
    return Answer(206, kind | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1])


def is_name(name: object) -> bool:
    """https://cloud.google.com/storage/docs/objects#naming"""
    if not isinstance(name, str):
        return False
    return 1 <= len(name.encode()) <= 1024 and name not in (".", "..") and "\r" not in name and "\n" not in name
