"""AWS Signature Version 4 by botocore, for one request at a time; what s3, s3compatible and gcs share.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any, Final

from consignee.body import Body
from consignee.errors import MissingExtra
from consignee.secret import Secret

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Signer:
    """Signs requests with one pair of keys."""

    def __init__(self, auth: Any, awsrequest: Any, credentials: Any) -> None:
        self._auth = auth
        self._request = awsrequest
        self._credentials = credentials

    @property
    def key_id(self) -> str:
        """The id of the access key."""
        return str(self._credentials.access_key)

    @property
    def secret(self) -> Secret:
        """The secret of the access key."""
        return Secret(str(self._credentials.secret_key))

    @classmethod
    async def load(cls, key_id: str, secret: Secret, *, extra: str) -> "Signer":
        """Return a signer; botocore is imported in a thread. Raises MissingExtra if it is not installed."""
        try:
            auth, awsrequest, credentials = await asyncio.to_thread(_botocore)
        except ModuleNotFoundError as error:
            raise MissingExtra(extra) from error
        return cls(auth, awsrequest, credentials.Credentials(key_id, secret.reveal()))

    def sign(self, method: str, url: str, *, region: str, headers: Mapping[str, str], payload: str) -> dict[str, str]:
        """Return the headers with the signature; `payload` is the SHA-256 in hexadecimal, or UNSIGNED."""
        request = self._request.AWSRequest(method=method, url=url, headers=dict(headers))
        signature = self._auth.S3SigV4Auth(self._credentials, "s3", region)
        # botocore would read the whole body for its digest, which is known here.
        signature.payload = lambda _: payload
        signature.add_auth(request)
        return dict(request.headers.items())


def _botocore() -> tuple[Any, ...]:
    return tuple(importlib.import_module(f"botocore.{name}") for name in ("auth", "awsrequest", "credentials"))


def payload_hash(url: str, body: Body | None) -> str:
    """Return what to sign of the body: nothing over https, where TLS and Content-MD5 guard it; its digest over http."""
    if body is None:
        return EMPTY_SHA256
    return UNSIGNED if url.startswith("https:") else body.sha256.hex()
