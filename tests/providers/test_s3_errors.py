"""What the vendors' refusals mean: an answer as they send it for each row of the tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import pytest
from multidict import CIMultiDict

from consignee.errors import ClockSkew, ProviderError, ProviderFailure, WrongRegion
from consignee.providers.refusals import BY_STATUS
from consignee.providers.s3_errors import BY_CODE, S3
from consignee.transport import Answer

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLANTED: Final = ("hunter2", "AKIAPLANTED", "<script>", "evil.example")
MESSAGE: Final = "Do visit &lt;script&gt;evil.example, AKIAPLANTED: hunter2"
REQUEST_ID: Final = "656c76696e6727732072657175657374"
EXPECTED: Final[Mapping[str, tuple[int, str]]] = {
    "InvalidAccessKeyId": (403, "credentials_rejected"),
    "SignatureDoesNotMatch": (403, "credentials_rejected"),
    "AuthFailure": (403, "credentials_rejected"),
    "Unauthorized": (401, "credentials_rejected"),
    "InvalidSecurity": (403, "credentials_rejected"),
    "ExpiredToken": (400, "credentials_rejected"),
    "InvalidToken": (400, "credentials_rejected"),
    "TokenRefreshRequired": (400, "credentials_rejected"),
    "AccessDenied": (403, "access_denied"),
    "AccessForbidden": (403, "access_denied"),
    "InvalidObjectState": (403, "access_denied"),
    "AllAccessDisabled": (403, "access_denied"),
    "AccountProblem": (403, "access_denied"),
    "NotSignedUp": (403, "access_denied"),
    "UserSuspended": (403, "access_denied"),
    "NoSuchBucket": (404, "bucket_not_found"),
    "InvalidBucketName": (400, "bucket_not_found"),
    "NoSuchTenant": (404, "bucket_not_found"),
    "AuthorizationHeaderMalformed": (400, "wrong_region"),
    "IllegalLocationConstraintException": (400, "wrong_region"),
    "IncorrectEndpoint": (400, "wrong_region"),
    "PermanentRedirect": (301, "wrong_region"),
    "Redirect": (307, "wrong_region"),
    "TemporaryRedirect": (307, "wrong_region"),
    "RequestTimeTooSkewed": (403, "clock_skew"),
    "RequestExpired": (400, "clock_skew"),
    "Busy": (503, "throttled"),
    "OperationAborted": (409, "throttled"),
    "RequestLimitExceeded": (503, "throttled"),
    "SlowDown": (503, "throttled"),
    "Throttling": (400, "throttled"),
    "ThrottlingException": (400, "throttled"),
    "TooManyRequests": (429, "throttled"),
    "QuotaExceeded": (403, "provider_error"),
    "InsufficientStorage": (507, "provider_error"),
    "XMinioStorageFull": (507, "provider_error"),
    "BadDigest": (400, "provider_error"),
    "InternalError": (500, "provider_error"),
    "RequestTimeout": (400, "timeout"),
    "ServiceUnavailable": (503, "throttled"),
    "KMS.AccessDeniedException": (403, "access_denied"),
    "KMS.DisabledException": (400, "access_denied"),
    "KMS.KMSInvalidStateException": (400, "access_denied"),
    "KMS.NotFoundException": (400, "access_denied"),
    "MethodNotAllowed": (405, "not_a_storage_service"),
}
BY_STATUS_ONLY: Final = {
    401: "credentials_rejected",
    403: "access_denied",
    405: "not_a_storage_service",
    408: "timeout",
    429: "throttled",
    507: "provider_error",
}


def answer(status: int, body: str = "", **headers: str) -> Answer:
    """Return an answer; `_` in the names of headers stands for a hyphen."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, named, body.encode())


def amazon(code: str, more: str = "") -> str:
    """Return an error document as Amazon writes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{MESSAGE}</Message><BucketName>hunter2</BucketName>{more}"
        f"<AWSAccessKeyId>AKIAPLANTED</AWSAccessKeyId><RequestId>{REQUEST_ID}</RequestId>"
        "<HostId>Uuag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7/C1NPcfTWAtRPfTaOFg==</HostId></Error>"
    )


def assert_clean(failed: ProviderFailure) -> None:
    """Nothing that a vendor wrote is in what a customer or a log gets to see, but for code, id and region."""
    assert str(failed)
    assert failed.hint
    shown = f"{failed} {failed!r} {failed.args} {vars(failed)}"
    assert [planted for planted in PLANTED if planted in shown] == []


def test_every_row_is_tried() -> None:
    assert {code.replace(".", "") for code in EXPECTED} == set(BY_CODE)
    assert set(BY_STATUS_ONLY) == set(BY_STATUS)


@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in EXPECTED.items()])
def test_a_code_has_its_meaning(code: str, status: int, ours: str) -> None:
    failed = S3.failure(answer(status, amazon(code)), now=NOW)
    assert failed.code == ours
    assert failed.provider_code == code.replace(".", "")
    assert failed.provider_request_id == REQUEST_ID
    assert str(failed) == BY_CODE[code.replace(".", "")].message
    assert_clean(failed)


@pytest.mark.parametrize(("status", "ours"), BY_STATUS_ONLY.items())
@pytest.mark.parametrize("body", ["", "<Error><Code>NeverHeardOf</Code></Error>", f"<html>{MESSAGE}</html>"])
def test_a_status_decides_where_the_code_is_unknown(status: int, ours: str, body: str) -> None:
    """The request's id shows that a storage service answered, even to a DELETE or HEAD without a body."""
    failed = S3.failure(answer(status, body, x_amz_request_id="tx0001"), now=NOW)
    assert failed.code == ours
    assert failed.provider_code in (None, "NeverHeardOf")
    assert failed.provider_request_id == "tx0001"
    assert_clean(failed)


@pytest.mark.parametrize(
    ("vendor", "body", "ours", "code"),
    [
        (
            "Swift",
            "<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request "
            "signature we calculated does not match the signature you provided. Check your key and signing method."
            "</Message><RequestId>tx7a5f-00</RequestId></Error>",
            "credentials_rejected",
            "SignatureDoesNotMatch",
        ),
        (
            "Ceph, without a message",
            '<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchBucket</Code><BucketName>b</BucketName>'
            "<RequestId>tx00000-0065-1071-default</RequestId><HostId>1071-default-default</HostId></Error>",
            "bucket_not_found",
            "NoSuchBucket",
        ),
        (
            "MinIO",
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidAccessKeyId</Code><Message>The Access Key Id '
            "you provided does not exist in our records.</Message><Key>k</Key><BucketName>b</BucketName>"
            "<Resource>/b/k</Resource><RequestId>17A0B1C2D3E4F506</RequestId><HostId>dd92</HostId></Error>",
            "credentials_rejected",
            "InvalidAccessKeyId",
        ),
        (
            "Google, interoperability",
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message>"
            "<Details>x does not have storage.objects.create access.</Details></Error>",
            "access_denied",
            "AccessDenied",
        ),
        (
            "indented, in a namespace",
            '<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  <Code>\n    SlowDown\n  </Code>\n</Error>',
            "throttled",
            "SlowDown",
        ),
    ],
)
def test_the_dialects_of_the_vendors(vendor: str, body: str, ours: str, code: str) -> None:
    failed = S3.failure(answer(403, body), now=NOW)
    assert (failed.code, failed.provider_code) == (ours, code), vendor


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_without_a_known_code_is_refused(status: int) -> None:
    failed = S3.failure(answer(status, f"<html>{MESSAGE}</html>", Location="http://evil.example/"), now=NOW)
    assert failed.code == "redirect_refused"
    assert_clean(failed)


@pytest.mark.parametrize("status", [400, 404, 405, 411, 501])
def test_a_web_server_is_told_from_a_storage_service(status: int) -> None:
    failed = S3.failure(answer(status, f"<html>{MESSAGE}</html>", Server="nginx"), now=NOW)
    assert failed.code == "not_a_storage_service"
    assert_clean(failed)


@pytest.mark.parametrize("status", [100, 304, 402, 410, 418, 451, 500, 502, 503, 504, 599, 999])
def test_any_other_status_is_some_failure(status: int) -> None:
    failed = S3.failure(answer(status, f"<html>{MESSAGE}</html>"), now=NOW)
    assert failed.code == ("redirect_refused" if status == 304 else "provider_error")
    assert_clean(failed)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (503, "7", 7.0),
        (429, "0", 0.0),
        (503, "Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        (429, "Fri, 02 Jan 2026 03:04:00 GMT", 0.0),
        (503, "Fri, 99 Jan 2026 03:05:05 GMT", None),
        (503, "-1", None),
        (503, "1.5", None),
        (503, "٣", None),
        (503, "9" * 400, None),
        (503, "", None),
    ],
)
@pytest.mark.parametrize("body", [f"<html>{MESSAGE}</html>", amazon("SlowDown")])
def test_a_request_to_come_back_later(status: int, header: str, seconds: float | None, body: str) -> None:
    """Throttled by whoever says so, be it a proxy; in seconds or as a date."""
    failed = S3.failure(answer(status, body, Retry_After=header), now=NOW)
    assert (failed.code, failed.retry_after, failed.transient) == ("throttled", seconds, True)
    assert_clean(failed)


def test_without_the_header_there_is_no_time_to_wait() -> None:
    assert S3.failure(answer(503), now=NOW).retry_after is None


def test_a_time_to_come_back_is_measured_by_the_clock_that_told_it() -> None:
    """However wrong that one, or ours, is."""
    told = answer(503, Retry_After="Fri, 02 Jan 2026 01:00:30 GMT", Date="Fri, 02 Jan 2026 01:00:00 GMT")
    assert S3.failure(told, now=NOW).retry_after == 30.0


@pytest.mark.parametrize(
    ("more", "headers", "hint"),
    [
        ("<ServerTime>2026-01-02T03:03:05Z</ServerTime>", {}, "60 seconds ahead of"),
        ("<ServerTime>2026-01-02T03:19:05Z</ServerTime>", {}, "900 seconds behind"),
        ("<ServerTime>2026-01-02T05:03:05+02:00</ServerTime>", {}, "60 seconds ahead of"),
        ("<ServerTime>2026-01-02T03:03:05</ServerTime>", {}, "60 seconds ahead of"),
        ("", {"Date": "Fri, 02 Jan 2026 01:04:05 GMT"}, "7200 seconds ahead of"),
        ("", {"Date": "Fri, 02 Jan 2026 01:04:05 -0000"}, "7200 seconds ahead of"),
        ("<ServerTime>soon</ServerTime>", {"Date": "Fri, 02 Jan 2026 03:04:06 GMT"}, "1 seconds behind"),
        ("<ServerTime>soon</ServerTime>", {"Date": "hunter2"}, ClockSkew.hint),
        ("<ServerTime>0001-01-01T00:00:00+23:00</ServerTime>", {}, ClockSkew.hint),
        ("<ServerTime>9999-12-31T23:59:59-23:00</ServerTime>", {}, ClockSkew.hint),
        ("", {"Date": "Fri, 02 Jan 2026 01:04:05 +99999999999999999999"}, ClockSkew.hint),
        ("", {}, ClockSkew.hint),
    ],
)
def test_a_skewed_clock_is_told_by_how_much(more: str, headers: dict[str, str], hint: str) -> None:
    """By the storage's own time in the document, else by its header; times without a zone are in UTC."""
    failed = S3.failure(answer(403, amazon("RequestTimeTooSkewed", more), **headers), now=NOW)
    assert failed.code == "clock_skew"
    assert hint in failed.hint
    assert_clean(failed)


def test_the_right_region_is_named() -> None:
    in_body = amazon("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")
    assert "eu-west-1" in S3.failure(answer(400, in_body), now=NOW).hint
    in_header = answer(301, amazon("PermanentRedirect"), x_amz_bucket_region="eu-central-1")
    assert "eu-central-1" in S3.failure(in_header, now=NOW).hint
    assert S3.failure(answer(301, amazon("PermanentRedirect")), now=NOW).hint == WrongRegion.hint


def test_an_unknown_code_is_a_fault_of_the_storage() -> None:
    failed = S3.failure(answer(400, amazon("EntityTooLarge")), now=NOW)
    assert type(failed) is ProviderError
    assert failed.provider_code == "EntityTooLarge"
    assert_clean(failed)
