"""What is not hot is signed by Alibaba's own SDK: the requests that begin, complete and abort an upload in parts."""

import asyncio
import importlib
import logging
from collections.abc import Mapping
from typing import Any

from consignee.providers.oss_signature import LIFETIME, UrlSigner


class SdkSigner:
    """Signs as `signer` does, with the same keys and to the same bucket; `endpoint_url` is the operator's own, or empty."""

    def __init__(self, signer: UrlSigner, endpoint_url: str) -> None:
        self._signer = signer
        self._endpoint_url = endpoint_url
        self._bucket: Any = None

    async def load(self) -> None:
        """Import the SDK, in a thread, unless that was done."""
        if self._bucket is None:
            self._bucket = self._of(await asyncio.to_thread(_sdk))

    def sign(self, method: str, key: str, *, headers: Mapping[str, str], params: Mapping[str, str]) -> str:
        """Return the URL of a request with its signature."""
        # The length is none of the headers that are signed, but the SDK would sign it.
        signed = {name: value for name, value in headers.items() if name != "Content-Length"}
        url = self._bucket.sign_url(method, key, LIFETIME, headers=signed, params=dict(params), slash_safe=True)
        return str(url)

    def _of(self, sdk: Any) -> Any:
        own, signer = self._endpoint_url, self._signer
        region = f"oss-{signer.region}"
        return sdk.Bucket(
            sdk.AuthV4(signer.key_id, signer.secret.reveal()),
            own.replace("{region}", region).replace("{bucket}", signer.bucket) or f"https://{region}.aliyuncs.com",
            signer.bucket,
            region=signer.region,
            is_cname="{bucket}" in own,
            is_path_style=bool(own) and "{bucket}" not in own,
        )


def _sdk() -> Any:
    sdk = importlib.import_module("oss2")
    # Its debug log holds every canonical request, and with it customers' key ids.
    for name in ("oss2.api", "oss2.auth", "oss2.http"):
        logging.getLogger(name).setLevel(logging.INFO)
    return sdk
