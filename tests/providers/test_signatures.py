"""Our signatures are those of the vendors' own libraries, whatever is signed; ours are made for the moment that they took."""

import calendar
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import oss2
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from consignee.providers.day_key import DayKey
from consignee.providers.oss import place_of
from consignee.providers.oss_signature import LIFETIME, UrlSigner
from consignee.providers.sigv4 import EMPTY_SHA256, UNSIGNED, Signer
from consignee.secret import Secret

PRINTED = st.characters(min_codepoint=33, max_codepoint=126)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
SECRETS = st.text(PRINTED, min_size=1, max_size=60)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
METHODS = st.sampled_from(["PUT", "POST", "DELETE"])
QUERIES = st.dictionaries(st.text("abAB-_.~ &=/+é", min_size=1, max_size=6), KEYS | st.just(""), max_size=4)
VALUES = st.text(PRINTED | st.just(" "), min_size=1, max_size=40).map(str.strip)
HOSTS = st.sampled_from(
    [
        *(
            "https://a.example",
            "https://a.example:443",
            "https://a.example:80",
            "https://B.Example:9000",
            "https://[::1]",
        ),
        *(
            "http://a.example",
            "http://a.example:80",
            "http://a.example:443",
            "http://127.0.0.1:9000",
            "http://[fd00::1]:81",
        ),
    ]
)


def amz_headers() -> st.SearchStrategy[dict[str, str]]:
    """Return such as an upload has, and others; each name once, in whatever case."""
    names = st.sampled_from(["Content-MD5", "content-type", "Content-Length", "X-Amz-Meta-A", "x-amz-acl", "Range"])
    return st.dictionaries(names, VALUES, max_size=6)


@given(
    method=METHODS,
    host=HOSTS,
    key=KEYS,
    query=QUERIES,
    headers=amz_headers(),
    payload=st.sampled_from([UNSIGNED, EMPTY_SHA256]),
    keys=st.tuples(WORDS, SECRETS, WORDS),
)
@example(
    "PUT", "https://h", "a//b/../c ~é%2F", {"uploadId": "a+/=", "a-b": "1", "a": ""}, {}, UNSIGNED, ("k", "s", "r")
)
def test_amazons_is_botocores(
    method: str,
    host: str,
    key: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload: str,
    keys: tuple[str, str, str],
) -> None:
    url = f"{host}/bucket/{quote(key, safe='/-_.~')}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    key_id, secret, region = keys
    request = AWSRequest(method=method, url=url, headers=dict(headers))
    oracle: Any = S3SigV4Auth(Credentials(key_id, secret), "s3", region)
    oracle.payload = lambda _: payload
    oracle.add_auth(request)
    moment = calendar.timegm(time.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    signer = Signer(key_id, Secret(secret), clock=lambda: moment)
    signed = signer.sign(method, url, region=region, headers=headers, payload=payload)
    assert {name.lower(): value for name, value in signed.items()} == {
        name.lower(): value for name, value in request.headers.items()
    }


OSS_ENDPOINTS = st.sampled_from(["", "http://127.0.0.1:9", "https://oss.example", "https://{bucket}.{region}.example"])


@given(
    method=METHODS,
    endpoint=OSS_ENDPOINTS,
    key=KEYS.filter(lambda key: key.strip() and not key.startswith("?")),
    params=QUERIES,
    headers=st.dictionaries(st.sampled_from(["Content-MD5", "Content-Type", "x-oss-acl", "Content-Length"]), VALUES),
    keys=st.tuples(SECRETS, SECRETS),
)
def test_alibabas_is_oss2s(
    method: str,
    endpoint: str,
    key: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    keys: tuple[str, str],
) -> None:
    """Also where the bucket is found; parameters may come in another order."""
    key_id, secret = keys
    own = endpoint.replace("{region}", "oss-cn-beijing").replace("{bucket}", "bucket")
    oracle = oss2.Bucket(
        oss2.AuthV4(key_id, secret),
        own or "https://oss-cn-beijing.aliyuncs.com",
        "bucket",
        region="cn-beijing",
        is_cname="{bucket}" in endpoint,
        is_path_style=bool(own) and "{bucket}" not in endpoint,
    )
    theirs = oracle.sign_url(method, key, LIFETIME, headers=dict(headers), params=dict(params), slash_safe=True)
    place, query = theirs.split("?")
    moment = calendar.timegm(time.strptime(parse_qs(query)["x-oss-date"][0], "%Y%m%dT%H%M%SZ"))
    where = place_of(endpoint, "oss-cn-beijing", "bucket")
    signer = UrlSigner(key_id, Secret(secret), place=where, bucket="bucket", region="cn-beijing", clock=lambda: moment)
    ours = signer.sign(method, key, headers=headers, params=params).split("?")
    assert (ours[0], sorted(ours[1].split("&"))) == (place, sorted(query.split("&")))


@pytest.mark.parametrize("scopes", [("20260101/a/s3/x", "20260102/a/s3/x"), ("20260101/a/s3/x", "20260101/b/s3/x")])
def test_a_new_day_or_region_has_a_key_of_its_own(scopes: tuple[str, str]) -> None:
    """And going back gives the old one."""
    key = DayKey("AWS4", Secret("secret"))
    first, second, again = (key.signature(scope, "text") for scope in (*scopes, scopes[0]))
    assert first == again != second
    assert second == DayKey("AWS4", Secret("secret")).signature(scopes[1], "text")
