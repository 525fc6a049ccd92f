"""Opening a bucket as the service does, at the servers that our tests share."""

from functools import partial
from typing import Any, Final

from canaries import COMPATIBLE_SECRET
from consignee.testing import opening
from consignee.testing.opening import COMMON, Fields, draft_of, opened

__all__ = ["COMMON", "S3_FIELDS", "Fields", "draft_of", "loopback", "opened"]

S3_FIELDS: Final[dict[str, Any]] = COMMON | {
    "type": "s3",
    "s3_access_key_id": "test:tester",
    "s3_secret_access_key": COMPATIBLE_SECRET,
    "s3_bucket_name": "demo-bucket",
}

loopback = partial(opening.loopback, allow_names=("s3.localhost",))
"""Settings that allow 127.0.0.1 to customers, http too, and the name that the servers have over TLS."""
