"""Google's token endpoint for service accounts, strictly and from its documentation alone.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from canaries import ACCESS_TOKEN, learn_private_key
from fakes.scripted import Answer, Request

TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME: Final = 3599
SCOPES: Final = {
    f"https://www.googleapis.com/auth/{name}"
    for name in ("devstorage.full_control", "devstorage.read_write", "cloud-platform")
}
_LONGEST: Final = 3600
_SKEW: Final = 300
_TIMES: Final = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


class _Refused(Exception):
    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "error_description": description}


@dataclass
class TokenService:
    """Issues tokens for the assertions of service accounts; `tokens` has who holds each, and until when."""

    now: Callable[[], float]
    keys: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def service_account(self, email: str, *, project: str = "demo-project") -> dict[str, str]:
        """Create the account and return its JSON, as Google gives it to download."""
        self.keys[email] = _key(0).public_key()
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "0123456789abcdef0123456789abcdef01234567",
            "private_key": private_key(),
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": TOKEN_URI,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email}",
            "universe_domain": "googleapis.com",
        }

    def answer(self, request: Request) -> Answer:
        """Answer a request for a token."""
        try:
            email = self._account(_assertion(request))
        except _Refused as refused:
            return _json(refused.status, refused.body)
        token = f"ya29.c.{ACCESS_TOKEN}{secrets.token_urlsafe(60)}"
        self.tokens[token] = (email, self.now() + LIFETIME)
        return _json(200, {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"})

    def holder(self, authorization: str) -> str | None:
        """Return the account that holds the token in this header, or None if the token is not good (any more)."""
        scheme, _, token = authorization.partition(" ")
        email, until = self.tokens.get(token, ("", 0.0))
        return email if scheme == "Bearer" and self.now() < until else None

    def _account(self, assertion: str) -> str:
        signed, header, claims, signature = _parts(assertion)
        issuer = str(claims.get("iss"))
        key = self.keys.get(issuer)
        if key is None or issuer in self.disabled:
            raise _Refused("invalid_grant", "Invalid grant: account not found")
        if header.get("alg") != "RS256" or not _verifies(key, signed, signature):
            raise _Refused("invalid_grant", "Invalid JWT Signature.")
        if claims.get("aud") != TOKEN_URI:
            raise _Refused("invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {TOKEN_URI}")
        if not self._timely(claims.get("iat"), claims.get("exp")):
            raise _Refused("invalid_grant", _TIMES)
        if SCOPES.isdisjoint(str(claims.get("scope", "")).split()):
            raise _Refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return issuer

    def _timely(self, issued: object, expires: object) -> bool:
        if type(issued) is not int or type(expires) is not int:
            return False
        return issued - _SKEW <= self.now() < expires and 0 < expires - issued <= _LONGEST


def private_key(number: int = 0) -> str:
    """Return a private key in PEM: number 0 is that of every service account, the others belong to nobody."""
    pem = _key(number).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    learn_private_key(pem.decode(), number)
    return pem.decode()


def assertion(claims: Mapping[str, Any], *, key: int = 0, algorithm: str = "RS256") -> str:
    """Return the claims as a signed JWT, whatever they say."""
    signed = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    signature = _key(key).sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _encoded(signature)).decode()


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: str) -> bytes:
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _verifies(key: rsa.RSAPublicKey, signed: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _assertion(request: Request) -> str:
    if request.method != "POST":
        raise _Refused("invalid_request", "The method must be POST.", status=405)
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise _Refused("invalid_request", "The content type must be application/x-www-form-urlencoded.")
    form = dict(parse_qsl(request.body.decode("ascii", "replace"), keep_blank_values=True))
    if form.get("grant_type") != GRANT_TYPE:
        raise _Refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
    if not form.get("assertion"):
        raise _Refused("invalid_request", "Missing required parameter: assertion")
    return form["assertion"]


def _parts(token: str) -> tuple[bytes, dict[str, Any], dict[str, Any], bytes]:
    """Return what is signed, the header, the claims and the signature."""
    try:
        header, claims, signature = token.split(".")
        parsed = [json.loads(_decoded(part)) for part in (header, claims)]
        raw = _decoded(signature)
    except (ValueError, binascii.Error):
        raise _Refused("invalid_grant", "Bad Request") from None
    if not all(isinstance(part, dict) for part in parsed):
        raise _Refused("invalid_grant", "Bad Request")
    return f"{header}.{claims}".encode(), parsed[0], parsed[1], raw


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode())
