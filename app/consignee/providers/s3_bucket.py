"""A bucket that speaks the S3 protocol; what s3, s3compatible and gcs share.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from consignee.body import Body, BytesBody
from consignee.errors import NotAStorageService
from consignee.providers import s3_control, sigv4
from consignee.providers.parts import UploadGone, UploadSpoiled
from consignee.providers.refusals import Dialect
from consignee.providers.s3_errors import S3
from consignee.providers.signed import Signed, SignedBucket, accepted_oddly, upload_headers
from consignee.transport import Answer, Transport

COMPLETION_SECONDS: Final = 900.0
"""How long a completion may take, if the storage says meanwhile that it is still at it: some minutes at Amazon."""
LONGEST_ID: Final = 2048
LONGEST_TAG: Final = 256
"""Characters of what an answer puts into a checkpoint: the id of an upload, and the ETag of each of its parts."""
Locate = Callable[[str], str]
"""From a region to the URL of the bucket, without a slash at the end."""


@dataclass(frozen=True)
class Completed:
    """What a completion says of the object: its ETag without quotes, and by which kind of key it is encrypted, or nothing."""

    etag: str
    encryption: str


class S3Bucket(SignedBucket):
    """A bucket that speaks the S3 protocol. With `fixed_region` the region is known, and no other is tried.

    The limits are Amazon's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    """

    extra = "s3"

    def __init__(
        self,
        signer: sigv4.Signer,
        transport: Transport,
        locate: Locate,
        *,
        region: str,
        fixed_region: bool = False,
    ) -> None:
        super().__init__(transport, key_id=signer.key_id, secret=signer.secret)
        self._signer = signer
        self._locate = locate
        self._region = region
        self._place = locate(region)
        self._fixed_region = fixed_region

    @property
    def dialect(self) -> Dialect:
        """How S3 refuses."""
        return S3

    async def begin(self, key: str) -> str:
        """Begin an upload."""
        made = await self._control("create_multipart_upload", key)
        upload = str(made.get("UploadId", ""))
        if not 0 < len(upload) <= LONGEST_ID:
            raise NotAStorageService(
                "The endpoint began an upload in parts, but not like a storage service: without an id."
            )
        return upload

    async def send_part(self, key: str, upload: str, number: int, body: Body) -> str:
        """Send one part; return its ETag."""
        query = urlencode({"partNumber": number, "uploadId": upload}, quote_via=quote)
        answer = await self._send("PUT", key, body, query=query)
        if self.dialect.provider_code(answer) == "NoSuchUpload":
            raise UploadGone
        self._confirm_object(answer, body)
        tag = answer.headers["ETag"].strip('" ')
        if len(tag) > LONGEST_TAG:
            raise accepted_oddly("The endpoint accepted a part, but not like a storage service: with an endless ETag.")
        return tag

    async def complete(self, key: str, upload: str, tags: list[str], body: Body) -> None:
        """Make the object of its parts; its ETag is compared with theirs, each of which was compared with the file's."""
        parts = [{"PartNumber": number, "ETag": f'"{tag}"'} for number, tag in enumerate(tags, start=1)]
        try:
            made = await self._control(
                "complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except UploadSpoiled:
            with suppress(UploadGone):
                await self.abort(key, upload)
            raise
        completed = Completed(str(made.get("ETag", "")).strip('" '), str(made.get("ServerSideEncryption", "")))
        if not completed.etag:
            raise accepted_oddly("The endpoint completed the upload, but not like a storage service: without an ETag.")
        if not self._is_whole(completed, tags):
            raise UploadSpoiled("The storage made another object of the parts than the one that was sent.")

    def _is_whole(self, made: Completed, tags: Sequence[str]) -> bool:
        """Whether the object that a completion made is these parts, wherever the vendor defines how one sees that."""
        return True

    async def abort(self, key: str, upload: str) -> None:
        """Let the storage forget the upload and its parts."""
        await self._control("abort_multipart_upload", key, UploadId=upload)

    async def _control(self, operation: str, key: str, **parameters: Any) -> Any:
        async def carry(method: str, query: str, content: bytes) -> Answer:
            body = BytesBody(content) if content else None
            patience = COMPLETION_SECONDS if body else None
            return self._accepted(await self._send(method, key, body, query=query, patience=patience))

        return await s3_control.call(operation, carry, extra=self.extra, **parameters)

    def _accepted(self, answer: Answer) -> Answer:
        """Return the answer to a control call if it is a success; a completion may fail after it was answered with 200."""
        code = self.dialect.provider_code(answer)
        if code == "NoSuchUpload":
            raise UploadGone
        if code == "InvalidPart":
            raise UploadSpoiled("The storage does not have all parts as they were sent.")
        if _is_refusal(answer):
            raise self._failure(answer)
        return answer

    async def _send(
        self, method: str, key: str, body: Body | None = None, *, query: str = "", patience: float | None = None
    ) -> Answer:
        tried = self._region  # while others may be finding out a better one
        answer = await self._once(method, key, body, query=query, patience=patience)
        if answer.status < 300 or not self._is_elsewhere(answer, tried):
            return answer
        return await self._once(method, key, body, query=query, patience=patience)

    def _learned(self, answer: Answer) -> bool:
        return self._is_elsewhere(answer, self._region)

    def _is_elsewhere(self, answer: Answer, tried: str) -> bool:
        """Whether a refusal names another region than the one that was tried; from then on that is the bucket's."""
        region = self.dialect.region(answer)
        if region is None or region == tried or self._fixed_region:
            return False
        self._region = self.found["region"] = region
        self._place = self._locate(region)
        return True

    async def _once(self, method: str, key: str, body: Body | None, *, query: str, patience: float | None) -> Answer:
        url, headers = signed = self._sign(method, key, body, query)
        answer = await self._transport.send(method, url, headers=headers, body=body, patience=patience)
        return self._discreet(answer, signed) if _is_refusal(answer) else answer

    def _sign(self, method: str, key: str, body: Body | None, query: str = "") -> Signed:
        url = f"{self._place}/{quote(key, safe='/-_.~')}" + (f"?{query}" if query else "")
        headers = upload_headers(body) if body else {}
        if method == "POST":
            # Of an upload in parts, the first request says of which type the object is.
            headers["Content-Type"] = "application/xml" if body else "application/octet-stream"
        payload = sigv4.payload_hash(url, body)
        return url, self._signer.sign(method, url, region=self._region, headers=headers, payload=payload)


def _is_refusal(answer: Answer) -> bool:
    return not 200 <= answer.status < 300 or b"<Error>" in answer.body
