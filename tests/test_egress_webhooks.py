"""The table of cases again, as addresses of webhooks: refused when entered, or when the message is sent."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

import pytest

from canaries import WEBHOOK_SECRET
from consignee.collection import URL_LENGTH, CollectionFields, parse, webhook_url
from consignee.delivery.webhook import Sent, send
from consignee.egress import EndpointInvalid, Policy, open_session
from consignee.errors import InvalidRequest
from consignee.secret import Secret
from egress_lab import CASES, Answers, Case, Recorder, answers_of, policy_of

SECRET: Final = Secret(WEBHOOK_SECRET)
NOTHING: Final = (None, "")
"""What stands for no webhook at all."""


def entered(case: Case, value: object) -> Any:
    """Return the webhook of a new collection that a customer entered so; raises InvalidRequest."""
    values: Mapping[str, Any] = {"name": "Mine", "destination_ids": [], "notification_webhook": value}
    return parse(values, CollectionFields(policy_of(case)))["notification_webhook"]


def host_and_path(value: object) -> tuple[str, str] | None:
    """Return a URL cut before its path or its query, where the part before is a good endpoint; an independent reading."""
    text = str(value)
    begin = text.find("://") + 3
    cut = min((place for place in (text.find(sign, begin) for sign in "/?") if place > 0), default=-1)
    if begin < 3 or cut < 0 or "#" in text or " " in text:
        return None
    try:
        return Policy().parse_endpoint(text[:cut]).url, text[cut:]
    except EndpointInvalid:
        return None


def cases(stage: str, *, paths: bool = False) -> list[Any]:
    found = (case for case in CASES if case["stage"] == stage and case["value"] not in NOTHING)
    return [
        pytest.param(c, id=c["id"])
        for c in found
        if stage != "parse" or (host_and_path(c["value"]) is not None) == paths
    ]


@pytest.mark.parametrize("case", cases("parse"))
def test_what_is_refused_as_an_endpoint_is_no_webhook(case: Case) -> None:
    with pytest.raises(InvalidRequest) as caught:
        entered(case, case["value"])
    assert list(caught.value.errors) == ["notification_webhook"]


@pytest.mark.parametrize("case", cases("parse"))
def test_nor_is_it_with_a_path_behind(case: Case) -> None:
    if isinstance(case["value"], str) and len(case["value"]) < URL_LENGTH:
        with pytest.raises(InvalidRequest):
            entered(case, case["value"] + "/hook")


@pytest.mark.parametrize("case", cases("parse", paths=True))
def test_a_path_is_what_a_webhook_may_have_and_an_endpoint_may_not(case: Case) -> None:
    """Then the rest is as good as it is in an endpoint, or an address that is refused on sight."""
    read = host_and_path(case["value"])
    assert read is not None and case["code"] == "bad_form"
    try:
        assert entered(case, case["value"]) == "".join(read)
    except InvalidRequest:
        assert read[0] == "https://127.0.0.1"


def test_few_cases_have_a_path() -> None:
    assert len(cases("parse", paths=True)) < 12 < 200 < len(cases("parse"))


@pytest.mark.parametrize("case", cases("connect"))
async def test_an_address_is_judged_on_sight_and_again_when_dialled(case: Case) -> None:
    """Entered or not, the message is never sent there; nothing but the answers before the last is dialled."""
    policy, dial = policy_of(case), Recorder()
    place = policy.parse_endpoint(case["value"])
    answers = answers_of(case, place.host)
    denied = case["expect"] == "deny"
    url = f"{place.url}/hook?a=b"
    if denied and place.is_address:
        with pytest.raises(InvalidRequest):
            entered(case, url)
    else:
        assert entered(case, url) == webhook_url(url, policy) == url
    async with open_session(policy, resolver=Answers(*answers), dns_ttl=0, create_socket=dial) as session:
        sent = [await send(session, url, SECRET, id="msg_1", timestamp=0, content={}) for _ in answers]
    assert [one.code == "endpoint_refused" for one in sent] == [False] * (len(answers) - 1) + [denied]
    assert sent[-1] == Sent(ok=False, code=sent[-1].code, ms=sent[-1].ms, transient=not denied)
    dialled = answers[:-1] if denied else answers
    assert set(map(ipaddress.ip_address, dial.addresses)) == {ipaddress.ip_address(a) for e in dialled for a in e}


@pytest.mark.parametrize("value", NOTHING)
def test_nothing_is_no_webhook(value: object) -> None:
    assert entered({}, value) is None
