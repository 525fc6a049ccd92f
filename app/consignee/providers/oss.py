"""Alibaba Cloud OSS: https://www.alibabacloud.com/help/en/oss/developer-reference/putobject

The region id is the host: `oss-cn-hangzhou` is https://oss-cn-hangzhou.aliyuncs.com, and the signing region `cn-hangzhou`.
"""

import asyncio
import importlib
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from consignee import errors
from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import MissingExtra
from consignee.path_prefix import fixed_part
from consignee.providers.base import Bucket, Provider
from consignee.providers.fields import KEY_ID, DestinationFields, matching, prefix, text
from consignee.providers.refusals import (
    ACCOUNT,
    BUSY,
    DENIED,
    FAULT,
    LATE,
    NO_BUCKET,
    REGION_WRONG,
    SKEW,
    TEMPORARY,
    UNKNOWN_KEY,
    WRONG_SECRET,
    Dialect,
    Meaning,
    element,
)
from consignee.providers.signed import Signed, SignedBucket, upload_headers
from consignee.transport import Answer, Transport

_LIFETIME: Final = 900
"""Seconds for which a signature holds: a clock that is off by more is noticed."""
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
    """Yield the bucket; the SDK is imported in a thread, and only signs."""
    try:
        sdk = await asyncio.to_thread(_sdk)
    except ModuleNotFoundError as error:
        raise MissingExtra("oss") from error
    yield OssBucket(sdk, draft, transport)


def _sdk() -> Any:
    sdk = importlib.import_module("oss2")
    # Its debug log holds every canonical request, and with it customers' key ids.
    for name in ("oss2.api", "oss2.auth", "oss2.http"):
        logging.getLogger(name).setLevel(logging.INFO)
    return sdk


def policy(draft: Draft) -> Mapping[str, Any]:
    """Return the RAM policy: put, delete and abort under the prefix, and nothing else."""
    # RAM has no way to write a * or ? that stands for itself.
    folder = re.split(r"[*?]", fixed_part(draft.settings.get("oss_path_prefix", "")))[0]
    objects = f"acs:oss:*:*:{draft.settings['oss_bucket_name']}/{folder}*"
    actions = ["oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload"]
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": [objects]}]}


class OssBucket(SignedBucket):
    """A bucket."""

    def __init__(self, sdk: Any, draft: Draft, transport: Transport) -> None:
        key_id, secret = draft.secrets["oss_access_key"], draft.secrets["oss_secret_key"]
        super().__init__(transport, key_id=key_id.reveal(), secret=secret)
        region, name = draft.settings["oss_region_id"], draft.settings["oss_bucket_name"]
        own = transport.endpoint_url.replace("{region}", region).replace("{bucket}", name)
        self._bucket = sdk.Bucket(
            sdk.AuthV4(key_id.reveal(), secret.reveal()),
            own or f"https://{region}.aliyuncs.com",
            name,
            region=region.removeprefix("oss-"),
            is_cname="{bucket}" in transport.endpoint_url,
            is_path_style=bool(own) and "{bucket}" not in transport.endpoint_url,
        )

    def _sign(self, method: str, key: str, body: Body | None) -> Signed:
        # The type is signed also where there is no body: the HTTP client would add one of its own, and break the signature.
        headers = upload_headers(body) if body else {"Content-Type": "application/octet-stream"}
        signed = {name: value for name, value in headers.items() if name != "Content-Length"}
        return self._bucket.sign_url(method, key, _LIFETIME, headers=signed, slash_safe=True), headers

    @property
    def dialect(self) -> Dialect:
        """How OSS refuses."""
        return OSS


_ENDPOINT = re.compile(r"(oss-[a-z0-9-]{1,60}?)(?:-internal)?\.aliyuncs\.com")


def _named_region(answer: Answer) -> str | None:
    """The region of the endpoint that a refusal names as the right one."""
    named = _ENDPOINT.fullmatch(element(answer, "Endpoint"))
    return named[1] if named else None


def _special(answer: Answer, meaning: Meaning) -> Meaning:
    """One code, several meanings: what else the document holds tells them apart."""
    code = element(answer, "Code")
    if code == "AccessDenied" and element(answer, "Endpoint"):
        return REGION_WRONG
    if code == "AccessDenied" and (element(answer, "ServerTime") or element(answer, "Expires")):
        return SKEW
    if code == "InvalidArgument" and "region" in element(answer, "Message"):
        return REGION_WRONG
    if code == "InvalidArgument" and "date" in element(answer, "Message"):
        return SKEW
    return meaning


_SUSPENDED: Final = Meaning(
    errors.AccessDenied,
    "The storage account is disabled, or a payment is overdue.",
    "Look at the account's state and billing in Alibaba Cloud's console.",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "InvalidAccessKeyId": UNKNOWN_KEY,
    "SignatureDoesNotMatch": WRONG_SECRET,
    "InvalidSecurityToken": TEMPORARY,
    "AccessKeyIdAndSecurityTokenNotMatch": TEMPORARY,
    "AccessDenied": DENIED,
    "BucketNotBelongTo": DENIED,
    "BucketDisable": ACCOUNT,
    "UserDisable": _SUSPENDED,
    "InDebt": _SUSPENDED,
    "InDebtOverdue": _SUSPENDED,
    "AbnormalBucketOwnerStatus": _SUSPENDED,
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    "PermanentRedirect": REGION_WRONG,
    "SecondLevelDomainForbidden": REGION_WRONG,
    "NonStandardHostForbidden": REGION_WRONG,
    "RequestTimeTooSkewed": SKEW,
    "QpsLimitExceeded": BUSY,
    "TotalQpsLimitExceeded": BUSY,
    "UploadTrafficRateLimitExceeded": BUSY,
    "DownloadTrafficRateLimitExceeded": BUSY,
    "MetaOperationQpsLimitExceeded": BUSY,
    "ActiveRequestLimitExceeded": BUSY,
    "CpuLimitExceeded": BUSY,
    "ServiceUnavailable": BUSY,
    "SlowDown": BUSY,
    "RequestTimeout": LATE,
    "InvalidDigest": FAULT,
    "InternalError": FAULT,
}
"""https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code and its neighbours, one page for each status"""

OSS: Final = Dialect(by_code=BY_CODE, request_id_header="x-oss-request-id", region=_named_region, special=_special)
PROVIDER = Provider(
    type="oss", label="Alibaba Cloud OSS", fields=OssFields, open=open_bucket, policy=policy, extra="oss"
)
