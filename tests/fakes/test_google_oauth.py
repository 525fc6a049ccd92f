"""That the fake of Google's token endpoint refuses what Google refuses."""

from typing import Any

import pytest
from aiohttp import ClientSession

from fakes.google import Google
from fakes.google_calls import EMAIL, NOW, SCOPE, claims, exchange
from fakes.google_oauth import GRANT_TYPE, LIFETIME, TOKEN_URI, assertion


async def test_it_is_served_without_tls_too(google: Google) -> None:
    google.service_account(EMAIL)
    async with google.serving() as server, ClientSession() as session:
        form = {"grant_type": GRANT_TYPE, "assertion": assertion(claims())}
        async with session.post(f"{server.url}/token", data=form) as response:
            answer = await response.json()
    assert response.status == 200
    assert answer == {"access_token": next(iter(google.oauth.tokens)), "expires_in": LIFETIME, "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("changed", "description"),
    [
        ({"iss": "nobody@demo-project.iam.gserviceaccount.com"}, "account not found"),
        ({"iss": None}, "account not found"),
        ({"iss": ["a"]}, "account not found"),
        ({"aud": "https://www.googleapis.com/oauth2/v4/token"}, "Failed audience check"),
        ({"aud": [TOKEN_URI]}, "Failed audience check"),
        ({"iat": NOW - 3600, "exp": NOW}, "reasonable timeframe"),
        ({"iat": NOW - 7200, "exp": NOW - 3600}, "reasonable timeframe"),
        ({"iat": NOW + 301, "exp": NOW + 3600}, "reasonable timeframe"),
        ({"exp": NOW + 3601}, "reasonable timeframe"),
        ({"iat": None}, "reasonable timeframe"),
        ({"exp": str(NOW + 60)}, "reasonable timeframe"),
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(
    google: Google, session: ClientSession, changed: dict[str, Any], description: str
) -> None:
    google.service_account(EMAIL)
    status, answer = await exchange(session, assertion(claims(**changed)))
    assert (status, answer["error"]) == (400, "invalid_grant")
    assert description in answer["error_description"]
    assert google.oauth.tokens == {}


@pytest.mark.parametrize("scope", ["", "https://www.googleapis.com/auth/devstorage.read_only", "devstorage"])
async def test_a_scope_that_may_not_write_is_refused(google: Google, session: ClientSession, scope: str) -> None:
    google.service_account(EMAIL)
    status, answer = await exchange(session, assertion(claims(scope=scope)))
    assert (status, answer["error"]) == (400, "invalid_scope")


async def test_a_clock_that_is_a_little_off_is_tolerated(google: Google, session: ClientSession) -> None:
    """Five minutes ahead of Google's, but not two hours, either way."""
    google.service_account(EMAIL)
    assert (await exchange(session, assertion(claims(iat=NOW + 300))))[0] == 200
    for google.skew in (7200.0, -7200.0):
        assert (await exchange(session, assertion(claims())))[1]["error"] == "invalid_grant"


async def test_a_tampered_assertion_is_refused(google: Google, session: ClientSession) -> None:
    """Whether the claims, the header or the signature were touched, or the key or the algorithm is another."""
    google.service_account(EMAIL)
    header, payload, signature = assertion(claims()).split(".")
    wider = assertion(claims(scope=f"{SCOPE} https://www.googleapis.com/auth/cloud-platform")).split(".")
    unsigned = assertion(claims(), algorithm="none").split(".")
    tampered = [
        f"{header}.{wider[1]}.{signature}",
        f"{header}.{payload}.{wider[2]}",
        f"{unsigned[0]}.{payload}.{signature}",
        f"{header}.{payload}.",
        assertion(claims(), key=1),
        assertion(claims(), algorithm="none"),
        assertion(claims(), algorithm="HS256"),
    ]
    for token in tampered:
        answer = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        assert await exchange(session, token) == (400, answer)
    assert google.oauth.tokens == {}


@pytest.mark.parametrize("token", ["rubbish", "a.b", "a.b.c.d", "e30.W10.AA", "e30=.e30.AA", "e30.!!!!.AA", "a.b.c"])
async def test_what_is_no_assertion_is_refused(google: Google, session: ClientSession, token: str) -> None:
    google.service_account(EMAIL)
    status, answer = await exchange(session, token)
    assert (status, answer["error"], answer["error_description"]) == (400, "invalid_grant", "Bad Request")


async def test_a_form_that_asks_for_something_else_is_refused(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL)
    good = assertion(claims())
    assert (await exchange(session, good, grant="refresh_token"))[1]["error"] == "unsupported_grant_type"
    assert (await exchange(session, ""))[1]["error"] == "invalid_request"
    for method, body in (("GET", None), ("POST", {"grant_type": GRANT_TYPE, "assertion": good})):
        async with session.request(method, TOKEN_URI, json=body) as response:
            assert (await response.json())["error"] == "invalid_request"


async def test_a_disabled_account_is_refused(google: Google, session: ClientSession) -> None:
    google.service_account(EMAIL)
    google.oauth.disabled.add(EMAIL)
    status, answer = await exchange(session, assertion(claims()))
    assert (status, answer["error_description"]) == (400, "Invalid grant: account not found")
