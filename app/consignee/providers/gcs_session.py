"""The upload sessions of Google's JSON API: https://cloud.google.com/storage/docs/performing-resumable-uploads

The address of a session lets whoever knows it write that object, without a token: it is a secret, and is asked without one.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from consignee.body import Body, BytesBody
from consignee.errors import NotAStorageService, RedirectRefused
from consignee.providers.gcs_account import json_object
from consignee.providers.gcs_json_errors import Refused, failure
from consignee.providers.refusals import unrepeated
from consignee.providers.signed import accepted_oddly
from consignee.secret import Secret
from consignee.transport import Answer, Transport

CONTENT_TYPE: Final = "application/octet-stream"
_GONE: Final = (404, 410, 499)
_RANGE = re.compile(r"bytes=0-(\d{1,15})")
_ADDRESS = re.compile(r"[!-~]{1,4096}")


class SessionGone(Exception):
    """The storage does not know the session (any more): it has expired, or was cancelled."""


class Corrupted(Exception):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Progress:
    """How many bytes the storage has kept, and the object if that was all."""

    kept: int
    made: Mapping[str, Any] | None = None


class Sessions:
    """The sessions at one endpoint, `root`, and at no other. What goes wrong raises a ProviderFailure."""

    def __init__(self, transport: Transport, root: str) -> None:
        self._transport = transport
        self._root = root

    async def begin(self, bucket: str, key: str, body: Body, *, token: Secret) -> Secret:
        """Return the address of a new session for an object; the storage will take no other content. Raises Refused."""
        digest = base64.b64encode(body.md5).decode()
        about = json.dumps({"name": key, "contentType": CONTENT_TYPE, "md5Hash": digest}).encode()
        headers = {
            "Authorization": f"Bearer {token.reveal()}",
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": CONTENT_TYPE,
            "X-Upload-Content-Length": str(body.length),
        }
        url = f"{self._root}/upload/storage/v1/b/{quote(bucket, safe='')}/o?uploadType=resumable"
        answer = await self._transport.send("POST", url, headers=headers, body=BytesBody(about))
        if answer.status != 200:
            raise Refused(unrepeated(answer, [token.reveal()]))
        return self._address(answer)

    def knows(self, session: Secret) -> bool:
        """Whether the session is at this endpoint."""
        address = session.reveal()
        return _ADDRESS.fullmatch(address) is not None and _origin(address) == _origin(self._root)

    async def send(self, session: Secret, body: Body, offset: int, size: int) -> Progress:
        """Send what follows `offset`, at most `size` bytes. Raises SessionGone, and Corrupted."""
        part = await body.part(offset, min(size, body.length - offset))
        return await self._put(session, f"{offset}-{offset + part.length - 1}", body.length, part)

    async def ask(self, session: Secret, length: int) -> Progress:
        """Return what the storage has kept of an object of that length. Raises SessionGone."""
        return await self._put(session, "*", length, BytesBody(b""))

    async def cancel(self, session: Secret) -> None:
        """Let the storage forget the session; succeeds when it has already."""
        answer = await self._transport.send("DELETE", session.reveal(), headers={"Content-Length": "0"})
        if not (200 <= answer.status < 300 or answer.status in _GONE):
            raise failure(unrepeated(answer, [session.reveal()]))

    def _address(self, answer: Answer) -> Secret:
        session = Secret(answer.headers.get("Location", ""))
        if not session.reveal():
            raise NotAStorageService("The endpoint does not answer like Google Cloud Storage.")
        if not self.knows(session):
            raise RedirectRefused("The endpoint redirects the upload elsewhere; redirects are not followed.")
        return session

    async def _put(self, session: Secret, which: str, length: int, part: Body) -> Progress:
        headers = {"Content-Range": f"bytes {which}/{length}"}
        answer = await self._transport.send("PUT", session.reveal(), headers=headers, body=part)
        if answer.status in (200, 201):
            return Progress(length, _made(answer))
        if answer.status == 308 and "Location" not in answer.headers:
            return Progress(_kept(answer, length))
        if answer.status in _GONE:
            raise SessionGone
        if answer.status == 400 and b"MD5 hash" in answer.body:
            raise Corrupted
        raise failure(unrepeated(answer, [session.reveal()]))


def _origin(url: str) -> tuple[str, str | None, int | None, str | None] | None:
    try:
        parsed = URL(url, encoded=True)
        return parsed.scheme, parsed.host, parsed.port, parsed.raw_user
    except ValueError:
        return None


def _made(answer: Answer) -> Mapping[str, Any]:
    try:
        return json_object(answer.body)
    except ValueError:
        raise accepted_oddly("The endpoint accepted the file, but not like Google Cloud Storage.") from None


def _kept(answer: Answer, length: int) -> int:
    """Return how many bytes were kept; without the header, none."""
    told = answer.headers.get("Range")
    if told is None:
        return 0
    found = _RANGE.fullmatch(told)
    if found is None or int(found[1]) >= length:
        raise NotAStorageService("The endpoint does not answer like Google Cloud Storage.")
    return int(found[1]) + 1
