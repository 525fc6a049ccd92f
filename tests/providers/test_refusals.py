"""What holds of every vendor's refusals alike."""

import json
from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from consignee.errors import ProviderFailure
from consignee.providers import gcs, gcs_json
from consignee.providers.azure_errors import AZURE
from consignee.providers.oss_errors import OSS
from consignee.providers.refusals import BY_STATUS, Dialect
from consignee.providers.s3_errors import S3
from consignee.transport import Answer
from providers.test_s3_error_documents import DOCUMENTS
from providers.test_s3_errors import BY_STATUS_ONLY, MESSAGE, NOW, answer, assert_clean

DIALECTS: Final[Mapping[str, Dialect]] = {
    "s3": S3,
    "gcs by HMAC": gcs.XML,
    "gcs by account": gcs_json.JSON,
    "azure": AZURE,
    "oss": OSS,
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def test_every_status_is_tried() -> None:
    assert set(BY_STATUS_ONLY) == set(BY_STATUS)


@every_dialect
@pytest.mark.parametrize(("status", "ours"), BY_STATUS_ONLY.items())
def test_a_status_decides_where_the_code_is_unknown(dialect: Dialect, status: int, ours: str) -> None:
    sent = Answer(status, CIMultiDict({dialect.request_id_header: "id-0001"}), f"<html>{MESSAGE}</html>".encode())
    failed = dialect.failure(sent, now=NOW)
    assert (failed.code, failed.provider_code, failed.provider_request_id) == (ours, None, "id-0001")
    assert_clean(failed)


@every_dialect
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(dialect: Dialect, status: int) -> None:
    failed = dialect.failure(answer(status, f"<html>{MESSAGE}</html>", Location="http://evil.example/"), now=NOW)
    assert failed.code == "redirect_refused"
    assert_clean(failed)


@every_dialect
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None), ("-1", None)])
def test_a_request_to_come_back_later(dialect: Dialect, status: int, header: str, seconds: float | None) -> None:
    failed = dialect.failure(answer(status, f"<html>{MESSAGE}</html>", Retry_After=header), now=NOW)
    assert (failed.code, failed.retry_after, failed.transient) == ("throttled", seconds, True)
    assert_clean(failed)


@every_dialect
@pytest.mark.parametrize("status", [400, 404, 405, 411, 501])
def test_a_web_server_is_told_from_a_storage_service(dialect: Dialect, status: int) -> None:
    failed = dialect.failure(answer(status, f"<html>{MESSAGE}</html>", Server="nginx"), now=NOW)
    assert failed.code == "not_a_storage_service"
    assert_clean(failed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "errors", "reason", "error_description", "code"]), inner)
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "Server", "Location", "x-ms-error-code", "x-ms-request-id", "x-oss-ec"]),
    st.text(max_size=70),
)


@every_dialect
@given(
    status=st.integers(200, 999),
    body=st.one_of(DOCUMENTS.map(str.encode), JSON.map(lambda value: json.dumps(value).encode()), st.binary()),
    headers=HEADERS,
)
def test_whatever_is_answered_is_a_failure_of_ours(
    dialect: Dialect, status: int, body: bytes, headers: dict[str, str]
) -> None:
    failed = dialect.failure(Answer(status, CIMultiDict(headers), body), now=NOW)
    assert type(failed) in ProviderFailure.__subclasses__()
    assert str(failed)
    assert failed.hint
