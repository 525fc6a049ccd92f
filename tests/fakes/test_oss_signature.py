"""That the fake's signatures are the vendor's: examples of the vendor's documentation and of its SDKs' own tests."""

import hashlib

import pytest

from fakes.oss_signature import (
    Claim,
    Malformed,
    Scope,
    Superseded,
    canonical_request,
    claim_in,
    signature_of,
    string_to_sign,
)
from fakes.scripted import Request

# In no order, with names that need encoding and with values that are empty.
QUERY = "param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2=&%7Cparam2=&param2="
HEADERS = {"x-oss-head1": "value", "abc": "value", "zabc": "value", "xyz": "value", "content-type": "text/plain"}
UNSIGNED = {"x-oss-content-sha256": "UNSIGNED-PAYLOAD"}


def test_the_example_of_the_documentation() -> None:
    """Its canonical request by its hash. Its signature is of a secret that the page does not show."""
    headers = UNSIGNED | {
        "content-disposition": "attachment",
        "content-length": "3",
        "content-md5": "ICy5YqxZB1uWSwcVLSNLcA==",
        "content-type": "text/plain",
        "host": "examplebucket.oss-cn-hangzhou.aliyuncs.com",
        "x-oss-date": "20250411T064124Z",
    }
    request = Request("PUT", "/exampleobject", headers, b"123")
    additional = ("content-disposition", "content-length")
    canonical = canonical_request(request, "/examplebucket/exampleobject", additional)
    digest = "c46d96390bdbc2d739ac9363293ae9d710b14e48081fcb22cd8ad54b63136eca"
    assert hashlib.sha256(canonical).hexdigest() == digest
    assert string_to_sign("20250411T064124Z", Scope("20250411", "cn-hangzhou"), canonical) == (
        f"OSS4-HMAC-SHA256\n20250411T064124Z\n20250411/cn-hangzhou/oss/aliyun_v4_request\n{digest}"
    )


@pytest.mark.parametrize(
    ("stamp", "more", "additional", "signature"),
    [
        ("20231216T162057Z", {}, (), "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"),
        (
            "20231217T034736Z",
            {"x-oss-security-token": "token"},
            (),
            "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea",
        ),
        (
            "20231216T172512Z",
            {},
            ("abc", "zabc"),
            "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f",
        ),
    ],
)
def test_the_sdk_s_signatures_in_the_header(
    stamp: str, more: dict[str, str], additional: tuple[str, ...], signature: str
) -> None:
    """github.com/aliyun/alibabacloud-oss-python-sdk-v2, tests/unit/signer/test_v4.py."""
    headers = HEADERS | UNSIGNED | {"x-oss-date": stamp} | more
    names = f"AdditionalHeaders={';'.join(additional)}," if additional else ""
    credential = f"ak/{stamp[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    headers["authorization"] = f"OSS4-HMAC-SHA256 Credential={credential},{names}Signature={signature}"
    claim = claim_of(Request("PUT", f"/1234%2B-/123/1.txt?{QUERY}", headers, b""))
    assert (claim.key_id, claim.additional, claim.expires) == ("ak", additional, None)


@pytest.mark.parametrize(
    ("stamp", "more", "additional", "signature"),
    [
        ("20231217T025437Z", "", (), "a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe"),
        (
            "20231217T035628Z",
            "&x-oss-security-token=token",
            (),
            "3817ac9d206cd6dfc90f1c09c00be45005602e55898f26f5ddb06d7892e1f8b5",
        ),
        (
            "20231217T033009Z",
            "&x-oss-additional-headers=abc%3Bzabc",
            ("abc", "zabc"),
            "6bd984bfe531afb6db1f7550983a741b103a8c58e5e14f83ea474c2322dfa2b7",
        ),
    ],
)
def test_the_sdk_s_signatures_in_the_url(stamp: str, more: str, additional: tuple[str, ...], signature: str) -> None:
    """From the same tests."""
    credential = f"ak%2F{stamp[:8]}%2Fcn-hangzhou%2Foss%2Faliyun_v4_request"
    signed = f"x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential={credential}&x-oss-date={stamp}"
    query = f"{QUERY}&{signed}&x-oss-expires=599{more}&x-oss-signature={signature}"
    headers = HEADERS | {"content-type": "application/octet-stream"}
    claim = claim_of(Request("PUT", f"/1234%2B-/123/1.txt?{query}", headers, b""))
    assert (claim.key_id, claim.additional, claim.expires) == ("ak", additional, 599)


def claim_of(request: Request) -> Claim:
    """Return the claim, having checked its signature by the secret of all examples."""
    claim = claim_in(request)
    assert claim is not None
    canonical = canonical_request(request, "/bucket/1234+-/123/1.txt", claim.additional)
    text = string_to_sign(claim.stamp, claim.scope, canonical)
    assert signature_of(text, secret="sk", scope=claim.scope) == claim.signature
    assert signature_of(text, secret="ks", scope=claim.scope) != claim.signature
    return claim


def test_what_claims_nothing_is_anonymous() -> None:
    assert claim_in(Request("PUT", "/key?uploads", HEADERS, b"")) is None


def test_other_signatures_are_told_apart() -> None:
    """Older versions from broken ones."""
    with pytest.raises(Superseded):
        claim_in(Request("PUT", "/key", {"authorization": "OSS ak:c2lnbmF0dXJl"}, b""))
    with pytest.raises(Malformed, match="Credential"):
        claim_in(Request("PUT", "/key", UNSIGNED | {"authorization": "OSS4-HMAC-SHA256 Signature=a"}, b""))
