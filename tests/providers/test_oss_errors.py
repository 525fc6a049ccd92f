"""What Alibaba Cloud OSS means by its refusals: an answer as it sends it for each row of the table.

https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code and its neighbours for the other statuses.
"""

from collections.abc import Mapping
from typing import Final

import pytest

from consignee.errors import AccessDenied, ClockSkew, ProviderError, WrongRegion
from consignee.providers.oss_errors import BY_CODE, OSS
from consignee.transport import Answer
from providers.test_s3_errors import MESSAGE, NOW, answer, assert_clean

REQUEST_ID: Final = "5C3D9175B6FC201293AD4FED"
EXPECTED: Final[Mapping[str, tuple[int, str]]] = {
    "InvalidAccessKeyId": (403, "credentials_rejected"),
    "SignatureDoesNotMatch": (403, "credentials_rejected"),
    "InvalidSecurityToken": (403, "credentials_rejected"),
    "AccessKeyIdAndSecurityTokenNotMatch": (403, "credentials_rejected"),
    "AccessDenied": (403, "access_denied"),
    "BucketNotBelongTo": (403, "access_denied"),
    "BucketDisable": (403, "access_denied"),
    "UserDisable": (403, "access_denied"),
    "InDebt": (403, "access_denied"),
    "InDebtOverdue": (403, "access_denied"),
    "AbnormalBucketOwnerStatus": (403, "access_denied"),
    "NoSuchBucket": (404, "bucket_not_found"),
    "InvalidBucketName": (400, "bucket_not_found"),
    "PermanentRedirect": (403, "wrong_region"),
    "SecondLevelDomainForbidden": (403, "wrong_region"),
    "NonStandardHostForbidden": (403, "wrong_region"),
    "RequestTimeTooSkewed": (403, "clock_skew"),
    "QpsLimitExceeded": (429, "throttled"),
    "TotalQpsLimitExceeded": (503, "throttled"),
    "UploadTrafficRateLimitExceeded": (503, "throttled"),
    "DownloadTrafficRateLimitExceeded": (503, "throttled"),
    "MetaOperationQpsLimitExceeded": (503, "throttled"),
    "ActiveRequestLimitExceeded": (503, "throttled"),
    "CpuLimitExceeded": (503, "throttled"),
    "ServiceUnavailable": (503, "throttled"),
    "SlowDown": (503, "throttled"),
    "RequestTimeout": (400, "timeout"),
    "InvalidDigest": (400, "provider_error"),
    "InternalError": (500, "provider_error"),
}


def alibaba(status: int, code: str, more: str = "", *, message: str = MESSAGE) -> Answer:
    """Return an answer as OSS sends it."""
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n'
        f"  <RequestId>{REQUEST_ID}</RequestId>\n  <HostId>evil.example</HostId>\n  {more}\n"
        "  <OSSAccessKeyId>AKIAPLANTED</OSSAccessKeyId>\n  <BucketName>hunter2</BucketName>\n"
        "  <RecommendDoc>https://evil.example/troubleshoot?q=0003-00000001</RecommendDoc>\n</Error>\n"
    )
    return answer(status, document, x_oss_request_id=REQUEST_ID, Server="AliyunOSS", x_oss_ec="0003-00000001")


def test_every_row_is_tried() -> None:
    assert set(EXPECTED) == set(BY_CODE)


@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in EXPECTED.items()])
def test_a_code_has_its_meaning(code: str, status: int, ours: str) -> None:
    failed = OSS.failure(alibaba(status, code), now=NOW)
    assert (failed.code, failed.provider_code, failed.provider_request_id) == (ours, code, REQUEST_ID)
    assert str(failed) == BY_CODE[code].message
    assert_clean(failed)


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("oss-cn-shanghai.aliyuncs.com", "oss-cn-shanghai"),
        ("oss-cn-shanghai-internal.aliyuncs.com", "oss-cn-shanghai"),
        ("oss-ap-southeast-1.aliyuncs.com", "oss-ap-southeast-1"),
    ],
)
@pytest.mark.parametrize("code", ["AccessDenied", "PermanentRedirect", "SecondLevelDomainForbidden"])
def test_the_right_endpoint_is_named(code: str, endpoint: str, region: str) -> None:
    """It comes with the code that else means no right; what is named is the id to choose, not a host."""
    failed = OSS.failure(alibaba(403, code, f"<Endpoint>{endpoint}</Endpoint>"), now=NOW)
    assert type(failed) is WrongRegion
    assert f"names {region} as the region" in failed.hint
    assert "aliyuncs" not in failed.hint
    assert_clean(failed)


@pytest.mark.parametrize(
    "endpoint",
    ["evil.example", "oss-cn.aliyuncs.com.evil.example", "oss-x.evil.example/oss-cn.aliyuncs.com", "hunter2", "a b"],
)
def test_an_endpoint_that_is_none_is_not_repeated(endpoint: str) -> None:
    failed = OSS.failure(alibaba(403, "AccessDenied", f"<Endpoint>{endpoint}</Endpoint>"), now=NOW)
    assert type(failed) is WrongRegion
    assert failed.hint == WrongRegion.hint
    assert_clean(failed)


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (
            "<Expires>2026-01-02T01:19:05.000Z</Expires><ServerTime>2026-01-02T03:03:05.000Z</ServerTime>",
            "60 seconds ahead of",
        ),
        ("<Expires>2026-01-02T01:19:05.000Z</Expires>", ClockSkew.hint),
    ],
)
def test_a_signature_that_has_expired_is_a_clock_that_differs(more: str, hint: str) -> None:
    """It is made for each request: an expired one is not old, but the clock is wrong."""
    failed = OSS.failure(alibaba(403, "AccessDenied", more, message="Request has expired."), now=NOW)
    assert type(failed) is ClockSkew
    assert hint in failed.hint
    assert_clean(failed)


def test_a_denial_of_access_without_more_is_one() -> None:
    failed = OSS.failure(alibaba(403, "AccessDenied", "<EC>0003-00000001</EC>"), now=NOW)
    assert type(failed) is AccessDenied
    assert failed.hint == AccessDenied.hint


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid signing region in Authorization header.", WrongRegion),
        ("Invalid signing date in Authorization header.", ClockSkew),
        ("The signature of the request is not valid.", ProviderError),
    ],
)
def test_one_code_of_three_meanings(message: str, kind: type[Exception]) -> None:
    failed = OSS.failure(alibaba(400, "InvalidArgument", message=message), now=NOW)
    assert type(failed) is kind
    assert failed.provider_code == "InvalidArgument"
    assert message not in f"{failed} {failed.hint}"


def test_only_an_object_that_is_absent_counts_as_deleted() -> None:
    assert OSS.is_absent(alibaba(404, "NoSuchKey"))
    assert not OSS.is_absent(alibaba(404, "NoSuchBucket"))
