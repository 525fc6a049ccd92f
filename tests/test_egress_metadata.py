"""Metadata of clouds: open only where the operator writes out that single address, by no other form, and to no name."""

import ipaddress

import pytest

from consignee.addresses import METADATA
from consignee.egress import AllowRule, Policy, open_session, refused
from egress_lab import V4, V6, Answers, Recorder, allowing, failure_of, never

EVERY = sorted(METADATA, key=str)
WIDE = (
    *(
        "0.0.0.0/0:*",
        "128.0.0.0/1:*",
        "169.254.0.0/16:*",
        "169.254.169.0/24:*",
        "168.63.129.0/24:443",
        "100.64.0.0/10:*",
    ),
    *("192.0.0.0/24:*", "::/0:*", "fc00::/7:*", "fd00::/8:*", "fd00:ec2::/32:*", "fe80::/10:*", "2002::/16:*"),
    *("64:ff9b::/96:*", "64:ff9b:1::/48:*", "2001::/32:*"),
)


def single(address: V4 | V6, port: str = "*") -> str:
    return f"{address}/{address.max_prefixlen}:{port}"


def around(address: V4 | V6) -> list[str]:
    """Return a rule for each network, from the whole internet down to two addresses, that holds the address."""
    networks = (ipaddress.ip_network((address, bits), strict=False) for bits in range(address.max_prefixlen))
    return [f"{network}:*" for network in networks]


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("address", EVERY, ids=str)
def test_no_network_around_it_opens_it(address: V4 | V6, trusted: bool) -> None:
    """Not even all of them together, nor the single addresses of all the others."""
    others = [single(other) for other in EVERY if other != address]
    for rules in ([], *([rule] for rule in (*WIDE, *around(address))), [*WIDE, *around(address), *others]):
        assert allowing(*rules).refusal(str(address), 443, trusted=trusted) == "metadata of a cloud", rules


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("address", EVERY, ids=str)
def test_written_out_it_is_open_at_that_port(address: V4 | V6, trusted: bool) -> None:
    assert allowing(single(address)).refusal(str(address), 80, trusted=trusted) is None
    assert allowing(single(address, "80")).refusal(str(address), 80, trusted=trusted) is None
    assert allowing(single(address, "80")).refusal(str(address), 443, trusted=trusted) is not None


@pytest.mark.parametrize("address", [one for one in EVERY if one.version == 4], ids=str)
def test_it_is_not_open_by_another_form(address: V4) -> None:
    """A rule for the IPv6 address that a translator makes of it opens nothing; a mapped address is the same one."""
    high, low = divmod(int(address), 0x10000)
    for form in (
        f"64:ff9b::{high:x}:{low:x}",
        f"2002:{high:x}:{low:x}::",
        f"::{high:x}:{low:x}",
        f"2606::5efe:{high:x}:{low:x}",
    ):
        assert allowing(f"{form}/128:*", "::/0:*", "0.0.0.0/0:*").refusal(form, 80, trusted=True) is not None, form
    assert allowing("0.0.0.0/0:*", "::/0:*").refusal(f"::ffff:{address}", 80, trusted=True) is not None
    assert allowing(single(address)).refusal(f"::ffff:{address}", 80) is None


@pytest.mark.parametrize("trusted", [False, True])
async def test_no_name_leads_there(trusted: bool) -> None:
    """Dialled by the real session with every wide rule at once."""
    policy, dial = allowing(*WIDE), Recorder()
    resolver = Answers(*([str(address)] for address in EVERY))
    async with open_session(policy, trusted=trusted, resolver=resolver, dns_ttl=0, create_socket=dial) as session:
        failures = [await failure_of(session, "http://metadata.example.net") for _ in EVERY]
    assert all(map(refused, failures)) and dial.addresses == []


def test_a_wide_rule_opens_all_else_in_it() -> None:
    """Which is what it is for."""
    assert allowing("169.254.0.0/16:*").refusal("169.254.1.1", 9000) is None
    assert allowing("fd00::/8:9000").refusal("fd00::1", 9000) is None
    assert allowing("fd00::/8:9000").refusal("fd00::1", 9001) is not None
    assert Policy((AllowRule.parse("0.0.0.0/0:*"),), is_own=never).refusal("10.0.0.1", 1) is None
