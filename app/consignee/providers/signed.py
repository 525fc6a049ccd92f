"""A bucket that is reached with signed requests; what the providers share."""

import abc
import base64
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from urllib.parse import unquote

from consignee.body import Body
from consignee.errors import CredentialsRejected, NotAStorageService, ProviderError, ProviderFailure
from consignee.providers.base import Checkpoint, Missing
from consignee.providers.parts import PartsBucket
from consignee.providers.ranges import asked, is_beyond, section
from consignee.providers.refusals import Dialect, unrepeated, without
from consignee.secret import Secret
from consignee.transport import Answer, Transport

Signed = tuple[str, dict[str, str]]
_SIGNATURE = re.compile(r"[?& ](?:Signature|sig|x-oss-signature)=([^& ]+)")


def upload_headers(body: Body) -> dict[str, str]:
    """Return the headers of a single PUT: its length, and its MD5, by which the storage checks what arrives."""
    return {
        "Content-Length": str(body.length),
        "Content-MD5": base64.b64encode(body.md5).decode(),
        "Content-Type": "application/octet-stream",
    }


def accepted_oddly(message: str) -> NotAStorageService:
    """Return the failure of an upload that was answered with success, but not as a storage service does."""
    failure = NotAStorageService(message)
    failure.accepted = True
    return failure


class SignedBucket(PartsBucket):
    """Sends what `_sign` signs. `key_id` and `secret` are the customer's: what an answer repeats of the one is removed, and
    white space in the other, which no vendor's secret holds, is the likely reason of a refusal."""

    def __init__(self, transport: Transport, *, key_id: str, secret: Secret) -> None:
        self._transport = transport
        self._key_id = Secret(key_id)
        self._odd_secret = any(character.isspace() for character in secret.reveal())
        self.found: dict[str, str] = {}

    @property
    @abc.abstractmethod
    def dialect(self) -> Dialect:
        """How this vendor refuses."""

    @abc.abstractmethod
    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        """Return the URL and the headers of a request, signed."""

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        """Write the object with one PUT, or a large one in parts."""
        if body.length > self._transport.parts.threshold:
            await self.put_in_parts(key, body, checkpoint, self._transport.parts)
        else:
            self._confirm_object(await self._send("PUT", key, body), body)

    def _confirm_object(self, answer: Answer, body: Body) -> None:
        """Raise a ProviderFailure unless a storage service has made an object, and of this body."""
        self._confirm(answer, body)
        if not answer.headers.get("ETag", "").strip('" '):
            raise accepted_oddly("The endpoint accepted the file, but not like a storage service: without an ETag.")

    def _confirm(self, answer: Answer, body: Body) -> None:
        """Raise a ProviderFailure unless the answer is a success, and of this body."""
        if not 200 <= answer.status < 300:
            raise self._failure(answer)
        if not self._is_same(answer, body):
            raise ProviderError("The storage confirmed another content than the one that was sent.")

    def _is_same(self, answer: Answer, body: Body) -> bool:
        """Whether a successful answer's digest is the body's, wherever the vendor defines one."""
        return True

    async def delete(self, key: str) -> None:
        """Remove the object with one DELETE."""
        answer = await self._send("DELETE", key)
        if not (200 <= answer.status < 300 or self.dialect.is_absent(answer)):
            raise self._failure(answer)

    async def read(self, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield a section with one GET, or a second one after a refusal that tells how."""
        for last in (False, True):
            url, headers = signed = self._sign("GET", key, None)
            async with self._transport.fetch(url, headers=headers | asked(start, length), most=length) as arrival:
                if 200 <= arrival.status < 300:
                    async for piece in section(arrival, start, length):
                        yield piece
                    return
                answer = self._discreet(await arrival.answer(), signed)
            if self.dialect.is_absent(answer) or is_beyond(answer):
                raise Missing
            if last or not self._learned(answer):
                raise self._failure(answer)

    def _learned(self, answer: Answer) -> bool:
        """Whether a refusal has told something with which the request is to be made once more."""
        return False

    async def _send(self, method: str, key: str, body: Body | None = None) -> Answer:
        return await self._carry(method, self._sign(method, key, body), body)

    async def _carry(self, method: str, signed: Signed, body: Body | None = None) -> Answer:
        url, headers = signed
        answer = await self._transport.send(method, url, headers=headers, body=body)
        return answer if answer.status < 300 else self._discreet(answer, signed)

    def _discreet(self, answer: Answer, signed: Signed) -> Answer:
        """Return a refusal without what it repeats of the key id and of the request's signature."""
        url, headers = signed
        signatures = _SIGNATURE.findall(f"{url} {headers.get('Authorization', '')}")
        return without(unrepeated(answer, map(unquote, signatures)), self._key_id.reveal())

    def _failure(self, answer: Answer) -> ProviderFailure:
        failure = self.dialect.failure(answer, now=datetime.now(UTC))
        if isinstance(failure, CredentialsRejected) and self._odd_secret:
            failure.hint = (
                "The secret contains a space. It was probably a + that a form body did not escape: send it as %2B, "
                "or send the fields as JSON."
            )
        return failure
