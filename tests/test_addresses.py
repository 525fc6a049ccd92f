"""Which addresses the policy refuses, whatever form they come in, and what the operator's rules open."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consignee.egress import AllowRule, Policy, is_own_address
from egress_lab import PUBLIC, V4, V6, allowing, never, own_address

# What is in these is not for customers, though ipaddress calls it global.
SPECIAL_THOUGH_GLOBAL = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "224.0.0.0/4",
        "168.63.129.16/32",
    )
]
METADATA = [V4("169.254.169.254"), V4("168.63.129.16"), V4("100.100.100.200"), V4("192.0.0.192")]


@given(st.ip_addresses(v=4))
@example(V4("168.63.129.16"))
@example(V4("168.63.129.17"))
def test_ipv4_is_refused_exactly_where_it_is_not_for_the_public(address: V4) -> None:
    special = any(address in network for network in SPECIAL_THOUGH_GLOBAL)
    public = address.is_global and not special
    assert (Policy(is_own=never).refusal(str(address), 443) is None) == public


@given(st.ip_addresses(v=6))
@example(V6("2001:1::1"))
def test_ipv6_is_refused_outside_the_global_range_at_least(address: V6) -> None:
    outside = int(address) >> 125 != 1 and address.ipv4_mapped is None
    if outside or not address.is_global:
        assert Policy(is_own=never).refusal(str(address), 443) is not None


def embeddings(address: V4) -> list[str]:
    """The IPv6 addresses by which tunnels and translators reach an IPv4 address."""
    high, low = divmod(int(address), 0x10000)
    a, b, c, d = address.packed
    return [
        f"::{address}",
        f"::ffff:0:{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"64:ff9b:1:{high:x}:{c:x}:{d << 8:x}::",
        f"64:ff9b:1:{a:x}:{b:x}:{low:x}::",
        f"64:ff9b:1:0:{a:x}:{b << 8 | c:x}:{d << 8:x}:0",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::f7f7:f7f7",
        f"2001:0:808:808:8000:63bf:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        f"2606:4700::5efe:{address}",
        f"2606:4700::200:5efe:{address}",
    ]


SPECIAL_V4 = st.ip_addresses(v=4).filter(lambda a: int(a) > 1 and Policy(is_own=never).refusal(str(a), 443) is not None)


@given(SPECIAL_V4)
@example(V4("127.0.0.1"))
@example(V4("169.254.169.254"))
@example(V4("168.63.129.16"))
def test_a_refused_ipv4_address_is_refused_inside_ipv6(address: V4) -> None:
    """Even where the operator opens all of IPv6: that does not open what a tunnel makes of it."""
    for policy in (Policy(is_own=never), allowing("::/0:*")):
        for text in embeddings(address):
            assert policy.refusal(text, 443) is not None, text


@given(st.ip_addresses(v=4), st.booleans())
def test_a_mapped_address_is_judged_as_its_ipv4(address: V4, trusted: bool) -> None:
    policy = Policy(allowing("10.0.0.0/8:443").allow, is_own=never)
    expected = policy.refusal(str(address), 443, trusted=trusted)
    assert policy.refusal(f"::ffff:{address}", 443, trusted=trusted) == expected


@given(st.sampled_from(METADATA))
def test_no_embedding_reaches_metadata_for_the_operator_either(address: V4) -> None:
    for text in [str(address), f"::ffff:{address}", *embeddings(address)]:
        assert Policy().refusal(text, 443, trusted=True) is not None, text


def test_the_operators_own_endpoint_may_be_anywhere_but_at_metadata() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd00::1", PUBLIC):
        assert Policy().refusal(address, 9000, trusted=True) is None
    assert Policy().refusal("fd00:ec2::254", 80, trusted=True) is not None
    assert allowing("fd00::/8:*").refusal("fd00:ec2::254", 80, trusted=True) is not None
    assert allowing("fd00:ec2::254/128:80").refusal("fd00:ec2::254", 80, trusted=True) is None


@given(
    st.ip_addresses(v=4), st.integers(0, 32), st.none() | st.sampled_from([443, 9000]), st.ip_addresses(v=4), st.data()
)
def test_a_rule_opens_its_network_and_port_and_nothing_else(
    base: V4, bits: int, port: int | None, other: V4, data: st.DataObject
) -> None:
    network = ipaddress.IPv4Network((base, bits), strict=False)
    policy = Policy((AllowRule(network, port),), is_own=never)
    address = data.draw(st.sampled_from([other, network[0], network[-1], *METADATA]))
    opened = address in network and port in (None, 443) and (address not in METADATA or bits == 32)
    public = Policy(is_own=never).refusal(str(address), 443) is None
    assert (policy.refusal(str(address), 443) is None) == (opened or public)


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("127.0.0.1/32:*", "127.0.0.1/32", None),
        ("10.0.0.0/8:9000", "10.0.0.0/8", 9000),
        ("fd00::/8:443", "fd00::/8", 443),
        ("[fd00::]/8:443", "fd00::/8", 443),
        ("[FD00::]/8:*", "fd00::/8", None),
        ("0.0.0.0/0:65535", "0.0.0.0/0", 65535),
    ],
)
def test_a_rule_is_read(text: str, network: str, port: int | None) -> None:
    assert AllowRule.parse(text) == AllowRule(ipaddress.ip_network(network), port)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write network/bits:port"),
        ("10.0.0.0/8", "write network/bits:port"),
        ("10.0.0.1:9000", "write network/bits:port"),
        ("10.0.0.0/255.0.0.0:9000", "write network/bits:port"),
        ("[fd00::/8]:443", "write network/bits:port"),
        (" 10.0.0.0/8:9000", "write network/bits:port"),
        ("10.0.0.0/8:9000\n", "write network/bits:port"),
        ("minio.lan/32:9000", "write network/bits:port"),
        ("10.0.0.0/8:0", "between 1 and 65535"),
        ("10.0.0.0/8:65536", "between 1 and 65535"),
        ("10.0.0.1/8:9000", "host bits set"),
        ("fd00::1/8:9000", "host bits set"),
        ("10.0.0.0/33:*", "10.0.0.0/33"),
        ("10.0.0/8:*", "10.0.0/8"),
        ("::ffff:10.0.0.0/104:*", "as its IPv4 network"),
    ],
)
def test_a_bad_rule_is_explained(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="allow rule") as caught:
        AllowRule.parse(text)
    assert hint in str(caught.value)


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_own_address(V4("127.0.0.1"))
    assert is_own_address(V4(own_address()))
    assert not is_own_address(V4(PUBLIC))
    assert not is_own_address(V6("2606:4700::1"))


def test_a_public_address_of_this_machine_is_refused_unless_allowed() -> None:
    """Behind it are the services that trust whoever comes from this machine."""

    def is_own(address: V4 | V6) -> bool:
        return str(address) == PUBLIC

    assert Policy(is_own=is_own).refusal(PUBLIC, 443) is not None
    assert Policy(is_own=is_own).refusal(f"::ffff:{PUBLIC}", 443) is not None
    assert Policy(is_own=is_own).refusal("93.184.216.35", 443) is None
    assert Policy(allowing(f"{PUBLIC}/32:443").allow, is_own=is_own).refusal(PUBLIC, 443) is None
