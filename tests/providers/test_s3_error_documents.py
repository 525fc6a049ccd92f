"""What is read from a refusal, whoever wrote it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from consignee.errors import ProviderFailure
from consignee.providers.refusals import unrepeated, without
from consignee.providers.s3_errors import BY_CODE, S3, named_region
from consignee.transport import Answer
from providers.test_s3_errors import NOW, answer


@pytest.mark.parametrize(
    "code",
    ["", " ", "<b>", "a b", "x" * 65, "AKIA/PLANTED", "é", "a-b", "a&lt;b", "]]>", "a\x00b"],
)
def test_a_code_that_is_none_is_left_out(code: str) -> None:
    failed = S3.failure(answer(403, f"<Error><Code>{code}</Code></Error>"), now=NOW)
    assert failed.provider_code is None
    assert failed.code == "access_denied"


@pytest.mark.parametrize("found", ["", "<b>", "a b", "x" * 129, "é", "a'b", "a\x00b"])
def test_a_request_id_that_is_none_is_left_out(found: str) -> None:
    assert S3.request_id(answer(403, f"<RequestId>{found}</RequestId>")) is None
    assert S3.request_id(answer(403, x_amz_request_id=found)) is None


def test_the_key_id_is_taken_out_wherever_it_was_sent_back() -> None:
    body = "<Error><Code>xKEY</Code><RequestId>KEY-1</RequestId><Region>KEY</Region></Error>"
    cleaned = without(answer(403, body, x_amz_request_id="1-KEY", x_amz_bucket_region="KEY", Date="today"), "KEY")
    assert b"KEY" not in cleaned.body
    assert "KEY" not in str(dict(cleaned.headers))
    assert (cleaned.status, cleaned.headers["date"]) == (403, "today")
    assert (S3.provider_code(cleaned), S3.request_id(cleaned), named_region(cleaned)) == (None, None, None)


PROOF = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"


@pytest.mark.parametrize("word", [PROOF, PROOF[:16], PROOF[-16:], f"id-{PROOF[20:40]}/x", PROOF[:63]])
def test_what_proved_a_request_right_is_taken_out_wherever_it_was_sent_back(word: str) -> None:
    """In whole or in part: as code, as id and as region, in a header and in the document."""
    document = f"<Error><Code>{word}</Code><RequestId>{word}</RequestId><Region>{word}</Region></Error>"
    for sent in (answer(404, document), answer(404, x_amz_request_id=word, x_amz_bucket_region=word)):
        cleaned = unrepeated(sent, ["another proof: not sent back", PROOF])
        assert word not in f"{cleaned.body!r} {dict(cleaned.headers)}"
        failed = S3.failure(cleaned, now=NOW)
        assert (failed.provider_code, failed.provider_request_id, named_region(cleaned)) == (None, None, None)
        assert failed.code == "provider_error"  # not a web server's: those give no ids at all


@pytest.mark.parametrize(
    "found",
    [
        "4442587FB7D0A2F9",
        "656c76696e6727732072657175657374",
        "Uuag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7/C1NPcfTWAtRPfTaOFg==",
        "eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran",
        "tx00000f1a2b3c4d5e6f7-0065a1b2c3-1a2b3c-default",
        "0ddba11d-001e-0012-3456-789abcdef012",
        "5C3D9175B6FC201293AD4890",
        "ABg5-UxQ1zvKPZ8Zn0mWcE7dT4yHfRkLsJvGaXbO2pIuM6wNq3tYhD9eC5rF8iA1oVgSlBkUjxTmEzQyWnPHcRd7fKs2",
        PROOF[:15],
    ],
)
def test_the_ids_that_vendors_give_are_kept(found: str) -> None:
    """Amazon's two kinds, those of MinIO's and Ceph's length, Azure's, Alibaba's and Google's; and what may be chance."""
    cleaned = unrepeated(answer(403, "<Code>AccessDenied</Code>", x_amz_request_id=found), [PROOF])
    failed = S3.failure(cleaned, now=NOW)
    assert (failed.provider_code, failed.provider_request_id) == ("AccessDenied", found)


ELEMENTS = st.sampled_from(["Code", "Message", "RequestId", "Region", "ServerTime", "Error", "Endpoint"])
TEXTS = st.one_of(st.text(max_size=80), st.sampled_from(sorted(BY_CODE)), st.datetimes().map(str))
DOCUMENTS = st.lists(st.builds("<{0}>{1}</{0}>".format, ELEMENTS, TEXTS), max_size=6).map("".join)
HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "x-amz-request-id", "x-amz-bucket-region", "Location"]),
    st.one_of(TEXTS, st.from_regex(r"\A[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{1,5} \d\d:\d\d:\d\d [+-]\d{1,9}\Z")),
)


@given(status=st.integers(100, 999), body=st.one_of(DOCUMENTS.map(str.encode), st.binary()), headers=HEADERS)
@example(status=403, body=b"<Code>RequestTimeTooSkewed</Code>", headers={"Date": "1 Jan 0001 00:00:00 +2359"})
def test_whatever_is_answered_is_a_failure_of_ours(status: int, body: bytes, headers: dict[str, str]) -> None:
    failed = S3.failure(Answer(status, CIMultiDict(headers), body), now=NOW)
    assert type(failed) in ProviderFailure.__subclasses__()
    assert str(failed)
    assert failed.hint
