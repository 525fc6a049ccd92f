"""What Alibaba Cloud OSS answers when something is wrong, and what it means.

https://www.alibabacloud.com/help/en/oss/user-guide/overview-14
"""

import re
from collections.abc import Mapping
from typing import Final

from consignee import errors
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
from consignee.transport import Answer

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
