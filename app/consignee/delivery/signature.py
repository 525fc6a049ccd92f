"""How a message to a webhook is signed, so that its receiver knows from whom it is.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac

from consignee.collection import SECRET_PREFIX
from consignee.secret import Secret


def sign(secret: Secret, *, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002
    """Return `v1,` and the signature of the message in base64; `timestamp` is in seconds since 1970. The id has no dot in it."""
    key = base64.b64decode(secret.reveal().removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(secret: Secret, *, id: str, timestamp: int, body: bytes) -> dict[str, str]:  # noqa: A002
    """Return the headers by which a receiver verifies the message; the id is the same for each repetition of it."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, id=id, timestamp=timestamp, body=body),
    }
