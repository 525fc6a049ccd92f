"""How a customer's endpoint is read; the table of single cases is run by test_egress_cases.py."""

import ipaddress
from urllib.parse import urlsplit

import pytest
import yarl
from hypothesis import example, given
from hypothesis import strategies as st

from consignee.endpoint import MAX_LENGTH, Endpoint, EndpointInvalid, is_private_name, parse_endpoint

CODES = {
    "bad_character",
    "bad_form",
    "bad_host",
    "bad_length",
    "bad_port",
    "bad_scheme",
    "blocked_name",
    "not_a_string",
    "userinfo",
}
NEAR_MISSES = st.text(alphabet="htps:/@[].-_0127xafe9", max_size=40).map(lambda text: "https://" + text)
LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))


@pytest.mark.parametrize(
    ("value", "endpoint", "url", "is_address"),
    [
        ("https://s3.example.com", Endpoint("https", "s3.example.com", 443), "https://s3.example.com", False),
        ("HTTPS://S3.Example.com:443", Endpoint("https", "s3.example.com", 443), "https://s3.example.com", False),
        ("https://a_b.example:9000", Endpoint("https", "a_b.example", 9000), "https://a_b.example:9000", False),
        ("http://s3.example.com", Endpoint("http", "s3.example.com", 80), "http://s3.example.com", False),
        ("http://s3.example.com:443", Endpoint("http", "s3.example.com", 443), "http://s3.example.com:443", False),
        ("https://8.8.8.8:9000", Endpoint("https", "8.8.8.8", 9000), "https://8.8.8.8:9000", True),
        ("https://[2606:4700::A]", Endpoint("https", "2606:4700::a", 443), "https://[2606:4700::a]", True),
        ("https://[::1]:9000", Endpoint("https", "::1", 9000), "https://[::1]:9000", True),
    ],
)
def test_an_endpoint_is_taken_apart(value: str, endpoint: Endpoint, url: str, is_address: bool) -> None:
    parsed = parse_endpoint(value, allow_http=True)
    assert parsed == endpoint
    assert (parsed.url, parsed.is_address) == (url, is_address)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("https://s3.example.com/", "must not end with a slash"),
        ("https://s3.example.com/bucket", "no path"),
        ("http://s3.example.com", "operator of this service must allow http"),
        ("https://2001:db8::1", "in brackets"),
        ("https://127.1", "four numbers"),
        ("https://s3.example.com.", "must not end with a dot"),
        ("https://s3.example.com:22", "443, or 1024"),
        ("https://bücher.example", "xn-- form"),
        ("https://minio:9000", "private network"),
        ("https://key:hunter2@s3.example.com", "in their own fields"),
        ("", f"1 to {MAX_LENGTH} characters"),
        (None, "must be a string"),
    ],
)
def test_the_text_says_what_to_write(value: object, hint: str) -> None:
    with pytest.raises(EndpointInvalid) as caught:
        parse_endpoint(value)
    assert hint in str(caught.value)


@pytest.mark.parametrize("value", ["https://key:hunter2@s3.example.com", "https://s3.example.com/?secret=hunter2"])
def test_the_text_never_repeats_what_was_entered(value: str) -> None:
    """It may hold a password, and it is logged and shown."""
    with pytest.raises(EndpointInvalid) as caught:
        parse_endpoint(value)
    assert "hunter2" not in str(caught.value)


def test_the_longest_endpoint_is_judged_by_its_host() -> None:
    """At 512 characters the length is no reason yet; at 513 it is."""
    codes = []
    for length in (MAX_LENGTH, MAX_LENGTH + 1):
        with pytest.raises(EndpointInvalid) as caught:
            parse_endpoint("https://".ljust(length, "a"))
        codes.append(caught.value.code)
    assert codes == ["bad_host", "bad_length"]


def test_a_name_may_have_253_characters() -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 57, "com"])
    assert parse_endpoint(f"https://{name}").host == name
    with pytest.raises(EndpointInvalid, match="253"):
        parse_endpoint(f"https://b{name}")


@given(st.one_of(st.text(max_size=60), NEAR_MISSES))
@example("https://s3.example.com:9000")
@example("https://[::ffff:1.2.3.4]")
def test_what_passes_reads_the_same_to_every_parser(value: str) -> None:
    """Two parsers that see different hosts in one text are how a checked endpoint turns into another."""
    try:
        endpoint = parse_endpoint(value)
    except EndpointInvalid as error:
        code, text = error.code, str(error)
    else:
        _assert_read_the_same(endpoint, value)
        return
    assert code in CODES
    assert text.endswith(".")


def _assert_read_the_same(endpoint: Endpoint, value: str) -> None:
    assert parse_endpoint(endpoint.url) == endpoint
    _assert_same(endpoint, value)
    _assert_same(endpoint, endpoint.url)


def _assert_same(endpoint: Endpoint, text: str) -> None:
    split, url = urlsplit(text), yarl.URL(text)
    assert (split.hostname, split.port or 443) == (endpoint.host, endpoint.port)
    assert (split.path, split.query, split.fragment, split.username) == ("", "", "", None)
    assert url.port == endpoint.port
    assert url.user is None
    if ":" in endpoint.host:
        assert ipaddress.ip_address(url.raw_host or "") == ipaddress.ip_address(endpoint.host)
    else:
        assert url.raw_host == endpoint.host


@given(NAMES, st.integers(1024, 65535))
def test_every_public_name_and_free_port_pass(name: str, port: int) -> None:
    assert parse_endpoint(f"https://{name}:{port}") == Endpoint("https", name, port)


@given(st.integers(0, 70000), st.sets(st.integers(1, 65535), max_size=3), st.booleans())
def test_ports_are_443_the_free_ones_and_those_allowed(port: int, ports: set[int], http: bool) -> None:
    scheme = "http" if http else "https"
    allowed = port in {443, *ports} or 1024 <= port <= 65535 or (http and port == 80)
    url = f"{scheme}://s3.example.com:{port}"
    if allowed:
        assert parse_endpoint(url, allow_http=True, opens=lambda _, port: port in ports) == Endpoint(
            scheme, "s3.example.com", port
        )
        return
    with pytest.raises(EndpointInvalid) as caught:
        parse_endpoint(url, allow_http=True, opens=lambda _, port: port in ports)
    assert caught.value.code == "bad_port"


@given(st.integers(0, 2**32 - 1))
def test_no_other_form_of_an_ipv4_address_passes(number: int) -> None:
    """C libraries read all of these as the same address."""
    a, b, c, d = number.to_bytes(4)
    forms = [
        f"{number}",
        f"{number:#x}",
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{c * 256 + d}",
        f"{a:#x}.{b}.{c}.{d}",
        f"{a}.{b}.{c}.0{d:o}",
        f"{a}.{b}.{c}.{d:#x}",
        f"0{a}.{b}.{c}.{d}",
        f"{a}.{b}.{c}.{d + 256}",
    ]
    for form in forms:
        with pytest.raises(EndpointInvalid) as caught:
            parse_endpoint(f"https://{form}", names=[form])
        assert caught.value.code == "bad_host"


def test_allowed_names_are_whole_labels_and_never_metadata() -> None:
    names = ["minio", "corp.lan", "internal", ""]
    assert not is_private_name("minio", names)
    assert not is_private_name("eu.minio", names)
    assert not is_private_name("box.corp.lan", names)
    assert not is_private_name("box.internal", names)
    assert is_private_name("evilcorp.lan", names)
    assert is_private_name("lan", names)
    assert is_private_name("metadata.google.internal", names)
