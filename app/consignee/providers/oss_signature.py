"""OSS's signature version 4 in a URL: https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls

oss2 makes the same in 0.24 ms, and logs the key id while it does; it decides in the tests whether this is right.
"""

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from consignee.providers.day_key import DayKey
from consignee.secret import Secret

LIFETIME: Final = 900
"""Seconds for which a signature holds: a clock that is off by more is noticed."""
_METHOD: Final = "OSS4-HMAC-SHA256"


class UrlSigner:
    """Signs requests to one bucket; `place` is its URL, and the region is such as `cn-hangzhou`."""

    def __init__(
        self,
        key_id: str,
        secret: Secret,
        *,
        place: str,
        bucket: str,
        region: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key_id = key_id
        self.secret = secret
        self.bucket = bucket
        self.region = region
        self._key = DayKey("aliyun_v4", secret)
        self._place = place
        self._clock = clock

    def sign(self, method: str, key: str, *, headers: Mapping[str, str], params: Mapping[str, str]) -> str:
        """Return the URL of a request with its signature, by which also the headers are signed that OSS wants signed."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        scope = f"{moment[:8]}/{self.region}/oss/aliyun_v4_request"
        given = {
            **params,
            "x-oss-credential": f"{self.key_id}/{scope}",
            "x-oss-date": moment,
            "x-oss-expires": str(LIFETIME),
            "x-oss-signature-version": _METHOD,
        }
        pairs = sorted([(quote(name, safe=""), quote(value, safe="")) for name, value in given.items()])
        query = "&".join([f"{name}={value}" if value else name for name, value in pairs])
        path = quote(key, safe="/")
        request = f"{method}\n/{self.bucket}/{path}\n{query}\n{_signed(headers)}\n\nUNSIGNED-PAYLOAD"
        text = f"{_METHOD}\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        return f"{self._place}/{path}?{query}&x-oss-signature={self._key.signature(scope, text)}"


def _signed(headers: Mapping[str, str]) -> str:
    named = sorted((name.lower(), value) for name, value in headers.items())
    return "".join([f"{name}:{value}\n" for name, value in named if _is_signed(name)])


def _is_signed(name: str) -> bool:
    return name in ("content-type", "content-md5") or name.startswith("x-oss-")
