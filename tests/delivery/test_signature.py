"""A message is signed as the Standard Webhooks specification says, judged by its own package."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from consignee.delivery.signature import headers, sign
from consignee.secret import Secret

BODY = '{"name":"Ünïcode"}'.encode()


def secret_of(key: bytes) -> Secret:
    """Return the secret that holds a key."""
    return Secret("whsec_" + base64.b64encode(key).decode())


SECRET = secret_of(bytes(range(32)))


def now() -> int:
    """Return the time as it is when a test runs: a receiver takes no message that is over five minutes old."""
    return int(datetime.now(UTC).timestamp())


def test_the_signature_is_the_one_of_the_specifications_own_example() -> None:
    """The example of svix, whose scheme the specification took over: https://docs.svix.com/receiving/verifying-payloads/how-manual"""
    signature = sign(
        Secret("whsec_plJ3nmyCDGBKInavdOK15jsl"),
        id="msg_loFOjxBNrRLzqYUf",
        timestamp=1731705121,
        body=b'{"event_type":"ping","data":{"success":true}}',
    )
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@given(key=st.binary(min_size=24, max_size=64), body=st.text().map(str.encode))
def test_its_receiver_verifies_it(key: bytes, body: bytes) -> None:
    secret = secret_of(key)
    at = now()
    signed = headers(secret, id="msg_2", timestamp=at, body=body)
    receiver = Webhook(secret.reveal())
    receiver.verify(body, signed, json_parse=False)
    assert receiver.sign("msg_2", datetime.fromtimestamp(at, UTC), body.decode()) == signed["webhook-signature"]


@pytest.mark.parametrize("what", ["body", "id", "time", "secret"])
def test_what_was_tampered_with_is_refused(what: str) -> None:
    at = now()
    other = sign(secret_of(bytes(32)), id="msg_1", timestamp=at, body=BODY)
    changed = {"id": {"webhook-id": "msg_3"}, "time": {"webhook-timestamp": str(at + 1)}}
    changed["secret"] = {"webhook-signature": other}
    body = BODY + b" " if what == "body" else BODY
    signed = headers(SECRET, id="msg_1", timestamp=at, body=BODY)
    assert Webhook(SECRET.reveal()).verify(BODY, signed) == {"name": "Ünïcode"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET.reveal()).verify(body, signed | changed.get(what, {}))


def test_a_secret_that_is_none_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="base64") as raised:
        sign(Secret("whsec_canary!"), id="msg_1", timestamp=1, body=BODY)
    assert "canary" not in str(raised.value)
