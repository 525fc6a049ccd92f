"""The table of single cases: each gets its verdict, at the stage where it must. Nothing of it is dialled."""

import ipaddress
import socket
from typing import Any

import aiohttp
import pytest

from consignee.catalog import Catalog
from consignee.egress import EndpointInvalid, Guard, open_session, refused
from consignee.errors import InvalidDestination
from consignee.providers import s3compatible
from drafts import CATALOG, problems
from egress_lab import CASES, Answers, Case, Recorder, addr_info, answers_of, failure_of, policy_of
from providers.kinds import KINDS


def cases(*, stage: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["stage"] == stage]


def test_every_case_is_run() -> None:
    assert {case["stage"] for case in CASES} == {"parse", "resolve", "connect", "field"}
    assert len({case["id"] for case in CASES}) == len(CASES) > 490


def test_no_case_is_there_twice() -> None:
    """But for those of them that are told apart by what the operator allows, or by what the name leads to."""
    told = [repr((case.get("field"), case["value"], case.get("policy"), case.get("resolves_to"))) for case in CASES]
    assert sorted(told) == sorted(set(told))


@pytest.mark.parametrize("case", cases(stage="field"))
def test_a_field_that_would_move_the_host_is_wrong(case: Case) -> None:
    """The destination is good but for that one field."""
    name, _, member = case["field"].partition(".")
    kind = name.partition("_")[0]
    good = next(
        one.fields for one in KINDS.values() if one.provider.type == kind and (name in one.fields or not member)
    )
    assert CATALOG.parse(good).type == good["type"]
    value = {**good[name], member: case["value"]} if member else case["value"]
    assert list(problems({**good, name: value})) == [name]


@pytest.mark.parametrize("case", cases(stage="parse"))
def test_no_destination_is_made_of_a_bad_endpoint(case: Case) -> None:
    """On its way through the schema nothing is stripped or mended before it is read."""
    catalog = Catalog([s3compatible.PROVIDER], policy_of(case))
    with pytest.raises(InvalidDestination) as caught:
        catalog.parse({**KINDS["s3compatible"].fields, "s3_endpoint": case["value"]})
    assert list(caught.value.errors) == ["s3_endpoint"]


@pytest.mark.parametrize("case", cases(stage="parse"))
def test_a_bad_endpoint_is_refused_when_read(case: Case) -> None:
    with pytest.raises(EndpointInvalid) as caught:
        policy_of(case).parse_endpoint(case["value"])
    assert (caught.value.code, case["expect"]) == (case["code"], "deny")


@pytest.mark.parametrize("case", cases(stage="resolve"))
async def test_an_unknown_name_is_no_refusal(case: Case) -> None:
    policy, dial = policy_of(case), Recorder()
    url = policy.parse_endpoint(case["value"]).url
    async with open_session(policy, resolver=Answers([]), create_socket=dial) as session:
        failure = await failure_of(session, url)
    assert isinstance(failure, aiohttp.ClientConnectorDNSError)
    assert not refused(failure)
    assert dial.addresses == []


@pytest.mark.parametrize("case", cases(stage="connect"))
async def test_an_address_is_judged_when_dialled(case: Case) -> None:
    """Every answer but the last is public, and dialled; the last one gets the verdict."""
    policy, dial = policy_of(case), Recorder()
    endpoint = policy.parse_endpoint(case["value"])
    answers = answers_of(case, endpoint.host)
    async with open_session(policy, resolver=Answers(*answers), dns_ttl=0, create_socket=dial) as session:
        failures = [await failure_of(session, endpoint.url) for _ in answers]
    assert [refused(failure) for failure in failures[:-1]] == [False] * (len(answers) - 1)
    assert refused(failures[-1]) == (case["expect"] == "deny")
    expected = answers if case["expect"] == "allow" else answers[:-1]
    assert set(map(ipaddress.ip_address, dial.addresses)) == {ipaddress.ip_address(a) for e in expected for a in e}


@pytest.mark.parametrize("case", [param for param in cases(stage="connect") if param.values[0]["expect"] == "allow"])
def test_the_guard_makes_a_socket_and_leaves_it_unconnected(case: Case) -> None:
    policy = policy_of(case)
    endpoint = policy.parse_endpoint(case["value"])
    for address in answers_of(case, endpoint.host)[0]:
        assert policy.refusal(address, endpoint.port) is None
        with Guard(policy)(addr_info(address, endpoint.port)) as made:
            assert made.family == (socket.AF_INET6 if ":" in address else socket.AF_INET)
            with pytest.raises(OSError, match="not connected"):
                made.getpeername()
