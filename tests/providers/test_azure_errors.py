"""What Azure means by its refusals: an answer as it sends it for each row of the table.

https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2, common-rest-api-error-codes and
blob-service-error-codes beside it.
"""

from collections.abc import Mapping
from typing import Final

import pytest

from consignee.errors import AccessDenied, ClockSkew, CredentialsRejected
from consignee.providers.azure_errors import AZURE, BY_CODE
from consignee.transport import Answer
from providers.test_s3_errors import MESSAGE, NOW, answer, assert_clean

REQUEST_ID: Final = "c2b8f4f6-001e-0045-5d3a-7b1f5c000000"
EXPECTED: Final[Mapping[str, tuple[int, str]]] = {
    "AuthenticationFailed": (403, "credentials_rejected"),
    "InvalidAuthenticationInfo": (400, "credentials_rejected"),
    "NoAuthenticationInformation": (401, "credentials_rejected"),
    "AuthorizationFailure": (403, "access_denied"),
    "AccountIsDisabled": (403, "access_denied"),
    "AuthorizationPermissionMismatch": (403, "access_denied"),
    "AuthorizationResourceTypeMismatch": (403, "access_denied"),
    "AuthorizationServiceMismatch": (403, "access_denied"),
    "AuthorizationProtocolMismatch": (403, "access_denied"),
    "AuthorizationSourceIPMismatch": (403, "access_denied"),
    "InsufficientAccountPermissions": (403, "access_denied"),
    "KeyBasedAuthenticationNotPermitted": (403, "access_denied"),
    "PublicAccessNotPermitted": (409, "access_denied"),
    "BlobImmutableDueToPolicy": (409, "access_denied"),
    "BlobImmutableDueToLegalHold": (409, "access_denied"),
    "LeaseIdMissing": (412, "access_denied"),
    "ContainerNotFound": (404, "bucket_not_found"),
    "ContainerBeingDeleted": (409, "bucket_not_found"),
    "ContainerDisabled": (409, "bucket_not_found"),
    "ResourceNotFound": (404, "bucket_not_found"),
    "InvalidResourceName": (400, "bucket_not_found"),
    "RequestTimeTooSkewed": (403, "clock_skew"),
    "ServerBusy": (503, "throttled"),
    "OperationTimedOut": (500, "timeout"),
    "InternalError": (500, "provider_error"),
    "Md5Mismatch": (400, "provider_error"),
}


def microsoft(status: int, code: str, *, in_header: bool = True, detail: str = "", server: str = "") -> Answer:
    """Return an answer as Azure's: the code in a header as well, the request's id in the message, a mark at the begin."""
    document = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{MESSAGE}\n'
        f"RequestId:{REQUEST_ID}\nTime:2026-01-02T03:04:05.0000000Z</Message>"
        f"<AuthenticationErrorDetail>{detail or 'hunter2'}</AuthenticationErrorDetail></Error>"
    )
    named = {"x_ms_error_code": code} if in_header else {}
    server = server or "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"
    return answer(status, document, x_ms_request_id=REQUEST_ID, Server=server, **named)


def test_every_row_is_tried() -> None:
    assert set(EXPECTED) == set(BY_CODE)


@pytest.mark.parametrize("in_header", [True, False])
@pytest.mark.parametrize(("code", "status", "ours"), [(code, *row) for code, row in EXPECTED.items()])
def test_a_code_has_its_meaning(code: str, status: int, ours: str, in_header: bool) -> None:
    failed = AZURE.failure(microsoft(status, code, in_header=in_header), now=NOW)
    assert (failed.code, failed.provider_code, failed.provider_request_id) == (ours, code, REQUEST_ID)
    assert str(failed) == BY_CODE[code].message
    assert_clean(failed)


def test_the_header_is_enough() -> None:
    """A DELETE may be refused without a document."""
    failed = AZURE.failure(answer(404, x_ms_error_code="ContainerNotFound", x_ms_request_id=REQUEST_ID), now=NOW)
    assert (failed.code, failed.provider_code) == ("bucket_not_found", "ContainerNotFound")


@pytest.mark.parametrize(
    "detail",
    [
        "Signature not valid in the specified time frame: Start [] - Expiry [Fri, 02 Jan 2026 01:19:05 GMT] - "
        "Current [Fri, 02 Jan 2026 03:04:05 GMT]",
        "Signature not valid in the specified time frame",
    ],
)
def test_a_signature_out_of_its_time_is_a_clock_that_differs(detail: str) -> None:
    """The same code as a wrong key has: only the detail tells. By how much, the Date of the answer says."""
    sent = microsoft(403, "AuthenticationFailed", detail=detail)
    failed = AZURE.failure(Answer(403, {**sent.headers, "Date": "Fri, 02 Jan 2026 05:04:05 GMT"}, sent.body), now=NOW)
    assert type(failed) is ClockSkew
    assert "7200 seconds behind" in failed.hint
    assert_clean(failed)


def test_a_wrong_key_is_no_clock_that_differs() -> None:
    detail = "Signature did not match. String to sign used was w\n\n2026-01-02T03:19:05Z\n/blob/hunter2/x"
    failed = AZURE.failure(microsoft(403, "AuthenticationFailed", detail=detail), now=NOW)
    assert type(failed) is CredentialsRejected
    assert_clean(failed)


def test_one_code_is_a_firewall_at_azure_and_a_wrong_key_at_azurite() -> None:
    at_azure = AZURE.failure(microsoft(403, "AuthorizationFailure"), now=NOW)
    assert type(at_azure) is AccessDenied
    assert "network rules" in at_azure.hint
    at_azurite = AZURE.failure(microsoft(403, "AuthorizationFailure", server="Azurite-Blob/3.35.0"), now=NOW)
    assert type(at_azurite) is CredentialsRejected
    assert "account name and its key" in at_azurite.hint


def test_only_a_blob_that_is_absent_counts_as_deleted() -> None:
    assert AZURE.is_absent(microsoft(404, "BlobNotFound"))
    assert not AZURE.is_absent(microsoft(404, "ContainerNotFound"))
    assert not AZURE.is_absent(microsoft(404, "ResourceNotFound"))
    assert not AZURE.is_absent(microsoft(409, "BlobNotFound"))
