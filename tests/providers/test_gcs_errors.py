"""What Google's XML API means by its refusals: an answer as it sends it for each row of the table.

The documents follow https://cloud.google.com/storage/docs/xml-api/reference-status.
"""

from collections.abc import Mapping
from typing import Final

import pytest

from consignee.providers.gcs import BY_CODE, XML
from providers.test_s3_errors import MESSAGE, NOW, answer, assert_clean

UPLOAD_ID: Final = "AAO2VwqXl2G0yV5a1kQzbTn3FZ-b7Y1n"
EXPECTED: Final[Mapping[str, tuple[int, str]]] = {
    "InvalidAccessKeyId": (403, "credentials_rejected"),
    "InvalidSecurity": (403, "credentials_rejected"),
    "SignatureDoesNotMatch": (403, "credentials_rejected"),
    "AuthenticationRequired": (401, "credentials_rejected"),
    "ExpiredToken": (400, "credentials_rejected"),
    "AccessDenied": (403, "access_denied"),
    "RetentionPolicyNotMet": (403, "access_denied"),
    "ObjectUnderActiveHold": (403, "access_denied"),
    "AccountProblem": (403, "access_denied"),
    "UserProjectAccountProblem": (403, "access_denied"),
    "UserProjectMissing": (400, "access_denied"),
    "UserProjectInvalid": (400, "access_denied"),
    "NoSuchBucket": (404, "bucket_not_found"),
    "InvalidBucketName": (400, "bucket_not_found"),
    "RequestTimeTooSkewed": (403, "clock_skew"),
    "ExpiredPolicyDocument": (400, "clock_skew"),
    "SlowDown": (503, "throttled"),
    "TooManyRequests": (429, "throttled"),
    "ServiceUnavailable": (503, "throttled"),
    "RequestTimeout": (400, "timeout"),
    "BadDigest": (400, "provider_error"),
    "InternalError": (500, "provider_error"),
}


def google(code: str) -> str:
    """Return an error document as Google writes it; a wrong signature comes with all that was signed."""
    signed = "<StringToSign>GOOG4-HMAC-SHA256\n20260102T030405Z\nhunter2</StringToSign>" if "Sign" in code else ""
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{MESSAGE}</Message>"
        "<Details>AKIAPLANTED@evil.example does not have storage.objects.create access to hunter2.</Details>"
        f"{signed}</Error>"
    )


def test_every_row_is_tried() -> None:
    assert set(EXPECTED) == set(BY_CODE)


@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in EXPECTED.items()])
def test_a_code_has_its_meaning(code: str, status: int, ours: str) -> None:
    failed = XML.failure(answer(status, google(code), X_GUploader_UploadID=UPLOAD_ID), now=NOW)
    assert (failed.code, failed.provider_code, failed.provider_request_id) == (ours, code, UPLOAD_ID)
    assert str(failed) == BY_CODE[code].message
    assert_clean(failed)


def test_a_closed_billing_account() -> None:
    """As Google sends it to everybody whose project's billing account was closed."""
    document = (
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>UserProjectAccountProblem</Code><Message>The project to be "
        "billed is associated with a closed billing account.</Message><Details>The billing account for the owning "
        "project is disabled in state closed</Details></Error>"
    )
    failed = XML.failure(answer(403, document), now=NOW)
    assert failed.code == "access_denied"
    assert "billing of the project" in failed.hint


def test_only_an_object_that_is_absent_counts_as_deleted() -> None:
    assert XML.is_absent(answer(404, google("NoSuchKey")))
    assert not XML.is_absent(answer(404, google("NoSuchBucket")))
    assert not XML.is_absent(answer(403, google("NoSuchKey")))
