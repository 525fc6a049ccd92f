"""The operations of the S3 server of the chaos tests: objects, multipart uploads, and reading where contents are kept.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import asyncio
import hashlib
import re
import secrets
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from fakes.chaos_answers import Refusal, document, no_such_upload
from fakes.chaos_call import Call
from fakes.chaos_signature import Verifier
from fakes.chaos_state import Ledger, Part, Upload
from fakes.scripted import Answer

LONGEST_PUT = 5 * 1024**3
LONGEST_KEY = 1024
LONGEST_LIST = 4 * 1024**2
MOST_PARTS = 10_000
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


def operation(call: Call) -> str:
    """Return which operation is asked for, or an empty string."""
    match call.head.method, "uploadId" in call.query, "uploads" in call.query:
        case "GET", False, False:
            return "get"
        case "PUT", in_parts, False:
            return "part" if in_parts else "put"
        case "DELETE", in_parts, False:
            return "abort" if in_parts else "delete"
        case "POST", True, False:
            return "complete"
        case "POST", False, True:
            return "begin"
    return ""


@dataclass
class Objects:
    """Does what a request asks for, once its signature is right. `buckets` are names, or patterns such as `bucket-*`.

    A part that is not the last has at least `min_part` bytes.
    """

    ledger: Ledger
    verifier: Verifier
    buckets: Sequence[str]
    min_part: int
    _finishing: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def do(self, call: Call) -> Answer:
        """Return the answer; raises Refusal."""
        payload = self.verifier.check(call.head)
        if "transfer-encoding" in call.head.headers:
            raise Refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if not any(fnmatchcase(call.bucket, pattern) for pattern in self.buckets):
            raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist.", {"BucketName": call.bucket})
        if len(call.key.encode(errors="replace")) > LONGEST_KEY:
            raise Refusal(400, "KeyTooLongError", "Your key is too long.")
        name = operation(call)
        if not (name and call.key):
            raise _not_allowed()
        return await getattr(self, f"_{name}")(call, payload)  # type: ignore[no-any-return]

    async def _put(self, call: Call, payload: str) -> Answer:
        if call.length > LONGEST_PUT:
            raise Refusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        file = self.ledger.content(secrets.token_hex(8)) if self.ledger.keep else None
        digests = await call.receive(payload, file)
        if file:
            file.rename(self.ledger.content(digests.sha256))
        self.ledger.put(call.name, digests.sha256, digests.length)
        return Answer(200, {"ETag": f'"{digests.md5}"'})

    async def _get(self, call: Call, payload: str) -> Answer:
        if not self.ledger.keep:
            raise _not_allowed()
        if (stored := self.ledger.objects.get(call.name)) is None:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.", {"Key": call.key})
        content = self.ledger.content(stored.sha256).read_bytes()
        if not (asked := _RANGE.fullmatch(call.head.headers.get("range", ""))):
            return Answer(200, {"Content-Type": "binary/octet-stream"}, content)
        first, last = int(asked[1]), min(int(asked[2] or stored.length), stored.length - 1)
        if first > last:
            raise Refusal(416, "InvalidRange", "The requested range is not satisfiable")
        headers = {"Content-Range": f"bytes {first}-{last}/{stored.length}"}
        return Answer(206, headers, content[first : last + 1])

    async def _delete(self, call: Call, payload: str) -> Answer:
        self.ledger.delete(call.name)
        return Answer(204)

    async def _begin(self, call: Call, payload: str) -> Answer:
        upload = self.ledger.begin(call.name)
        values = {"Bucket": call.bucket, "Key": call.key, "UploadId": upload}
        return document("InitiateMultipartUploadResult", values)

    async def _part(self, call: Call, payload: str) -> Answer:
        upload = self._upload(call)
        number = call.query.get("partNumber", "")
        if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MOST_PARTS):
            raise Refusal(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
        file = f"{number}-{secrets.token_hex(8)}"
        digests = await call.receive(payload, self.ledger.directory / upload.id / file)
        async with self._finishing[upload.id]:
            self._upload(call)  # it may have been finished while the part was sent
            self.ledger.part(upload.id, int(number), Part(digests.md5, digests.length, file))
        return Answer(200, {"ETag": f'"{digests.md5}"'})

    async def _complete(self, call: Call, payload: str) -> Answer:
        wanted = _wanted(await call.read(LONGEST_LIST, payload))
        async with self._finishing[call.query["uploadId"]]:
            upload = self._upload(call)
            parts = self._chosen(upload, wanted)
            sha256, length = await asyncio.to_thread(self.ledger.join, upload.id, parts)
            self.ledger.complete(upload.id, sha256, length)
        await asyncio.to_thread(self.ledger.discard, upload.id)
        values = {"Location": call.head.path, "Bucket": call.bucket, "Key": call.key, "ETag": _whole_etag(parts)}
        return document("CompleteMultipartUploadResult", values)

    async def _abort(self, call: Call, payload: str) -> Answer:
        async with self._finishing[call.query["uploadId"]]:
            upload = self._upload(call)
            self.ledger.abort(upload.id)
        await asyncio.to_thread(self.ledger.discard, upload.id)
        return Answer(204)

    def _upload(self, call: Call) -> Upload:
        upload = self.ledger.uploads.get(call.query["uploadId"])
        if upload is None or upload.name != call.name:
            raise no_such_upload()
        return upload

    def _chosen(self, upload: Upload, wanted: Sequence[tuple[int, str]]) -> list[Part]:
        numbers = [number for number, _ in wanted]
        if numbers != sorted(set(numbers)):
            raise Refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        parts = [upload.parts.get(number) for number in numbers]
        found = [part for part, (_, etag) in zip(parts, wanted, strict=True) if part and part.etag == etag]
        if len(found) < len(wanted):
            raise Refusal(400, "InvalidPart", "One or more of the specified parts could not be found.")
        if any(part.length < self.min_part for part in found[:-1]):
            raise Refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.")
        return found


def _not_allowed() -> Refusal:
    return Refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")


def _wanted(body: bytes) -> list[tuple[int, str]]:
    """Return the numbers and ETags that a completion names."""
    try:
        parts = ET.fromstring(body).findall("{*}Part")
        wanted = [(int(one.findtext("{*}PartNumber", "")), one.findtext("{*}ETag", "").strip('"')) for one in parts]
    except (ET.ParseError, ValueError):
        wanted = []
    if not wanted:
        raise Refusal(400, "MalformedXML", "The XML you provided was not well-formed.")
    return wanted


def _whole_etag(parts: Sequence[Part]) -> str:
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    return f'"{digest.hexdigest()}-{len(parts)}"'
