"""Alibaba Cloud OSS: https://www.alibabacloud.com/help/en/oss/developer-reference/putobject

The region id is the host: `oss-cn-hangzhou` is https://oss-cn-hangzhou.aliyuncs.com, and the signing region `cn-hangzhou`.
"""

import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import KeyTooLong, NotAStorageService
from consignee.path_prefix import fixed_part
from consignee.providers.base import Bucket, Provider
from consignee.providers.extras import require
from consignee.providers.fields import KEY_ID, DestinationFields, matching, prefix, text
from consignee.providers.oss_errors import OSS
from consignee.providers.oss_parts import Part, document, is_made_of
from consignee.providers.oss_sdk import SdkSigner
from consignee.providers.oss_signature import UrlSigner
from consignee.providers.parts import UploadGone, UploadSpoiled
from consignee.providers.refusals import Dialect, element
from consignee.providers.signed import Signed, SignedBucket, accepted_oddly, upload_headers
from consignee.transport import Answer, Transport

LONGEST_KEY: Final = 1023
"""Bytes; https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions"""
_TYPE: Final = "application/octet-stream"
_MD5 = re.compile(r"[0-9a-f]{32}")
REGIONS: Final = {
    "oss-cn-hangzhou": "China (Hangzhou)",
    "oss-cn-shanghai": "China (Shanghai)",
    "oss-cn-qingdao": "China (Qingdao)",
    "oss-cn-beijing": "China (Beijing)",
    "oss-cn-zhangjiakou": "China (Zhangjiakou)",
    "oss-cn-huhehaote": "China (Hohhot)",
    "oss-cn-wulanchabu": "China (Ulanqab)",
    "oss-cn-shenzhen": "China (Shenzhen)",
    "oss-cn-heyuan": "China (Heyuan)",
    "oss-cn-guangzhou": "China (Guangzhou)",
    "oss-cn-chengdu": "China (Chengdu)",
    "oss-cn-hongkong": "China (Hong Kong)",
    "oss-us-west-1": "US (Silicon Valley)",
    "oss-us-east-1": "US (Virginia)",
    "oss-ap-southeast-1": "Singapore",
    "oss-ap-southeast-2": "Australia (Sydney)",
    "oss-ap-southeast-3": "Malaysia (Kuala Lumpur)",
    "oss-ap-southeast-5": "Indonesia (Jakarta)",
    "oss-ap-northeast-1": "Japan (Tokyo)",
    "oss-ap-south-1": "India (Mumbai)",
    "oss-eu-central-1": "Germany (Frankfurt)",
    "oss-eu-west-1": "UK (London)",
    "oss-me-east-1": "UAE (Dubai)",
}
"""Those known by name; any other that is well formed is accepted, for Alibaba adds regions."""


class OssFields(DestinationFields):
    """The fields of a bucket at Alibaba Cloud."""

    prefix_field = "oss_path_prefix"

    oss_access_key = text("Access key ID", required=True, secret=True, check=KEY_ID, longest=256)
    oss_secret_key = text("Access key secret", required=True, secret=True)
    oss_bucket_name = text(
        "Bucket name",
        required=True,
        check=matching(
            r"(?=.{3,63}$)[a-z0-9]+(?:-+[a-z0-9]+)*",
            "the name of a bucket: 3 to 63 lower-case letters, digits and hyphens, not a URL",
        ),
    )
    oss_region_id = text(
        "Region",
        required=True,
        choices=REGIONS,
        help="Such as oss-eu-central-1.",
        check=matching(r"(?=.{5,64}$)oss(?:-[a-z0-9]+)+", "the id of a region, such as oss-eu-central-1"),
    )
    oss_path_prefix = prefix()


@asynccontextmanager
async def open_bucket(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield the bucket. Raises MissingExtra if what uploads in parts need is not installed."""
    await require("oss2", extra="oss")
    yield OssBucket(draft, transport)


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return the RAM policy: put, delete and abort under the prefix, and nothing else."""
    # RAM has no way to write a * or ? that stands for itself.
    folder = re.split(r"[*?]", fixed_part(draft.settings.get("oss_path_prefix", "")))[0]
    objects = f"acs:oss:*:*:{draft.settings['oss_bucket_name']}/{folder}*"
    actions = ["oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload"]
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": [objects]}]}


def place_of(endpoint_url: str, region: str, bucket: str) -> str:
    """Return the URL of a bucket, as a host of its own at Alibaba, or at the operator's endpoint where that says so."""
    scheme, host = urlsplit(endpoint_url.replace("{region}", region).replace("{bucket}", bucket))[:2]
    if not host:
        return f"https://{bucket}.{region}.aliyuncs.com"
    return f"{scheme}://{host}" if "{bucket}" in endpoint_url else f"{scheme}://{host}/{bucket}"


class OssBucket(SignedBucket):
    """A bucket. Parts: https://www.alibabacloud.com/help/en/oss/user-guide/multipart-upload"""

    longest = 10_000 * 5 * 1024**3

    def __init__(self, draft: Draft, transport: Transport) -> None:
        key_id, secret = draft.secrets["oss_access_key"], draft.secrets["oss_secret_key"]
        super().__init__(transport, key_id=key_id.reveal(), secret=secret)
        region, name = draft.settings["oss_region_id"], draft.settings["oss_bucket_name"]
        place = place_of(transport.endpoint_url, region, name)
        self._signer = UrlSigner(key_id.reveal(), secret, place=place, bucket=name, region=region.removeprefix("oss-"))
        self._sdk = SdkSigner(self._signer, transport.endpoint_url)

    async def begin(self, key: str) -> str:
        """Begin an upload."""
        answer = await self._control("POST", key, {"uploads": ""})
        upload = element(answer, "UploadId")
        if not upload:
            raise NotAStorageService("The endpoint began an upload in parts, but not like OSS: without an id.")
        return upload

    async def send_part(self, key: str, upload: str, number: int, body: Body) -> str:
        """Send one part; its tag holds what OSS told of it."""
        signed = self._signed("PUT", key, body, {"partNumber": str(number), "uploadId": upload})
        answer = self._accepted(await self._carry("PUT", signed, body))
        self._confirm(answer, body)
        part = Part.of(answer, body.length)
        if part is None:
            raise accepted_oddly("The endpoint accepted a part, but not like OSS: without an ETag.")
        return str(part)

    async def complete(self, key: str, upload: str, tags: list[str], body: Body) -> None:
        """Make the object of its parts, and compare its checksum with theirs, each of which was compared with the file."""
        parts = [Part.parse(tag) for tag in tags]
        answer = await self._control("POST", key, {"uploadId": upload}, document(parts), "application/xml")
        if not (answer.headers.get("ETag") or element(answer, "ETag")):
            raise accepted_oddly("The endpoint completed the upload, but not like OSS: without an ETag.")
        if not is_made_of(answer, parts):
            raise UploadSpoiled("The storage made another object of the parts than the one that was sent.")

    async def abort(self, key: str, upload: str) -> None:
        """Let OSS forget the upload and its parts."""
        await self._control("DELETE", key, {"uploadId": upload})

    async def _control(
        self,
        method: str,
        key: str,
        params: Mapping[str, str],
        body: Body | None = None,
        content_type: str = _TYPE,
    ) -> Answer:
        """Return the answer to a request about an upload in parts, which the SDK signs, if it is a success."""
        await self._sdk.load()
        signed = self._signed(method, key, body, params, content_type, signer=self._sdk)
        return self._accepted(await self._carry(method, signed, body))

    def _accepted(self, answer: Answer) -> Answer:
        """Return the answer to a request about an upload in parts, if it is a success."""
        if 200 <= answer.status < 300:
            return answer
        code = self.dialect.provider_code(answer)
        if code == "NoSuchUpload":
            raise UploadGone
        if code == "InvalidPart":
            raise UploadSpoiled("The storage does not have all parts as they were sent.")
        raise self._failure(answer)

    def _is_same(self, answer: Answer, body: Body) -> bool:
        """By the header for it, and by the ETag, which is the MD5 of what one request brought."""
        if answer.headers.get("Content-MD5") not in (None, base64.b64encode(body.md5).decode()):
            return False
        # Of what a key of the customer's encrypts, nothing is said about the ETag.
        plain = answer.headers.get("x-oss-server-side-encryption", "AES256") == "AES256"
        etag = answer.headers.get("ETag", "").strip('" ').lower()
        return etag == body.md5.hex() or not plain or not _MD5.fullmatch(etag)

    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        return self._signed(method, key, body, {})

    def _signed(
        self,
        method: str,
        key: str,
        body: Body | None,
        params: Mapping[str, str],
        content_type: str = _TYPE,
        *,
        signer: UrlSigner | SdkSigner | None = None,
    ) -> Signed:
        if len(key.encode()) > LONGEST_KEY:
            raise KeyTooLong(f"The key has more than the {LONGEST_KEY:,} bytes that OSS takes.")
        # The type is signed also where there is no body: the HTTP client would add one of its own, and break the signature.
        headers = (upload_headers(body) if body else {}) | {"Content-Type": content_type}
        return (signer or self._signer).sign(method, key, headers=headers, params=params), headers

    @property
    def dialect(self) -> Dialect:
        """How OSS refuses."""
        return OSS


PROVIDER = Provider(
    type="oss",
    label="Alibaba Cloud OSS",
    fields=OssFields,
    open=open_bucket,
    policy=policy,
    extra="oss",
    modules=("oss2",),
)
