"""The policy against a second telling of the RFCs, for addresses in every form, rules of every width and all ports."""

import ipaddress
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from consignee.addresses import METADATA
from consignee.egress import AllowRule, Policy
from egress_lab import never
from egress_oracle import METADATA_IPV4, METADATA_IPV6, SPECIAL, Rule, digits, may_dial, written

EXAMPLES: Final = 1_100
PORTS: Final = st.sampled_from([443, 80, 9000, 22, 1023, 1024])
FREE: Final = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
# What stands before an address of IPv4, where it stands: digits of IPv6 with 8 letters x, and dots for anything.
FORMS: Final = (
    *("0" * 20 + "ffff" + "x" * 8, "0" * 24 + "x" * 8, "0" * 16 + "ffff0000" + "x" * 8),
    *("0064ff9b" + "0" * 16 + "x" * 8, "0064ff9b0001" + "0" * 12 + "x" * 8, "0064ff9b0001" + "." * 12 + "x" * 8),
    *(
        "0064ff9b0001xxxx00xxxx" + "0" * 10,
        "0064ff9b0001..xx00xxxxxx" + "0" * 8,
        "0064ff9b0001....00xxxxxxxx" + "0" * 6,
    ),
    *("0064ff9b0001xxxx..xxxx" + "." * 10, "0064ff9b0001..xx..xxxxxx" + "." * 8, "0064ff9b0001......xxxxxxxx......"),
    *("2002" + "x" * 8 + "." * 20, "20010000" + "x" * 8 + "." * 16, "20010000" + "." * 16 + "y" * 8),
    *("260647" + "." * 10 + "00005efe" + "x" * 8, "." * 16 + "02005efe" + "x" * 8, "." * 16 + "01005efe" + "x" * 8),
)


def _edges() -> list[str]:
    """Return the first and last addresses of all special networks, and what is beside them."""
    found = [ipaddress.ip_network(text) for text in SPECIAL]
    numbers = {(one.max_prefixlen, int(one[at]) + step) for one in found for at in (0, -1) for step in (-1, 0, 1)}
    return [f"{number:0{size // 4}x}" for size, number in sorted(numbers) if 0 <= number < 1 << size]


EDGES: Final = _edges()
IPV4: Final = st.one_of(
    st.sampled_from([digits(address) for address in METADATA_IPV4]),
    st.sampled_from([edge for edge in EDGES if len(edge) == 8]),
    st.sampled_from([digits(address) for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "1.1.1.1")]),
    st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}"),
)
IPV6: Final = st.one_of(
    st.sampled_from([digits(address) for address in METADATA_IPV6]),
    st.sampled_from([edge for edge in EDGES if len(edge) == 32]),
    FREE,
)


def filled(form: str, address: str, free: str) -> str:
    """Return the form's digits with an address of IPv4 in the place of each x, or, its bits inverted, of each y."""
    inverted = f"{int(address, 16) ^ 0xFFFFFFFF:08x}"
    inside, outside, rest = iter(address), iter(inverted), iter(free)
    chosen = {"x": inside, "y": outside, ".": rest}
    return "".join(next(chosen[sign]) if sign in chosen else sign for sign in form)


EMBEDDED: Final = st.builds(filled, st.sampled_from(FORMS), IPV4, FREE)
ADDRESSES: Final = st.one_of(EMBEDDED, EMBEDDED, EMBEDDED, IPV4, IPV6).map(written)


@st.composite
def rules_for(draw: st.DrawFn, address: str) -> Rule:
    """A rule that holds the address or is next to one that does, or one for IPv4 alone, of any width."""
    h = draw(st.sampled_from([digits(address), digits(address), draw(IPV4)]))
    number, size = int(h, 16), len(h) * 4
    bits = draw(st.sampled_from([0, size, size - 1, draw(st.integers(0, size))]))
    number ^= draw(st.sampled_from([0, 0, 0, 1])) << (size - bits) if bits else 0
    network = ipaddress.ip_network((bytes.fromhex(f"{number:0{size // 4}x}"), bits), strict=False)
    return Rule(str(network), draw(st.none() | PORTS))


def is_mapped(rule: Rule) -> bool:
    """Whether a rule's network begins where IPv4 is mapped: such a rule is no rule."""
    base = digits(rule.network.partition("/")[0])
    return len(base) == 32 and base.startswith("0" * 20 + "ffff")


@settings(max_examples=EXAMPLES)
@given(st.data(), ADDRESSES, PORTS, st.booleans())
def test_the_policy_agrees_with_the_rfcs(data: st.DataObject, address: str, port: int, trusted: bool) -> None:
    rules = tuple(rule for rule in data.draw(st.lists(rules_for(address), max_size=3)) if not is_mapped(rule))
    policy = Policy(tuple(AllowRule.parse(str(rule)) for rule in rules), is_own=never)
    allowed = policy.refusal(address, port, trusted=trusted) is None
    assert allowed == may_dial(address, port, rules, trusted=trusted)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(FORMS), st.sampled_from(METADATA_IPV4), FREE, st.booleans())
def test_no_form_of_metadata_is_open_even_if_all_else_is(form: str, metadata: str, free: str, trusted: bool) -> None:
    """But for the one form that is almost ISATAP's, which nothing takes for an address of IPv4."""
    address = written(filled(form, digits(metadata), free))
    policy = Policy(tuple(map(AllowRule.parse, ("0.0.0.0/0:*", "::/0:*"))), is_own=never)
    assert (policy.refusal(address, 443, trusted=trusted) is None) == ("01005efe" in form)


def test_both_know_the_same_metadata() -> None:
    assert {str(address) for address in METADATA} == {*METADATA_IPV4, *METADATA_IPV6}
