"""What is accepted as a service account, what of it reaches the library, and what is sent to Google."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from consignee.body import BytesBody
from consignee.providers import gcs
from drafts import CATALOG, problems
from fakes.google import Google
from providers.opening import loopback, opened
from providers.test_gcs import ACCOUNT, BASE, BY_ACCOUNT, JSON

EMAIL: Final = ACCOUNT["client_email"]
PEM: Final = ACCOUNT["private_key"]
IMPERSONATED: Final = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/x@y.z:generateAccessToken"


def pem(key: Any, *, password: bytes | None = None) -> str:
    """Return a private key in PEM, encrypted if there is a password."""
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    text: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    return text.decode()


def public(private: str) -> str:
    """Return the public key of a private one."""
    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def rsa_of(bits: int) -> str:
    """Return a new RSA key."""
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=bits))


# A PKCS#8 structure that names 1.2.3.4 as its algorithm, which nobody knows.
UNKNOWN: Final = "-----BEGIN PRIVATE KEY-----\nMA4CAQAwBQYDKgMEBAIEAA==\n-----END PRIVATE KEY-----\n"
EXTERNAL: Final = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://evil.example/token",
    "credential_source": {"file": "/etc/passwd"},
}
USER: Final = {"type": "authorized_user", "client_id": "x", "client_secret": "y", "refresh_token": "z"}
REFUSED: Final[Mapping[str, Any]] = {
    "malformed": '{"type": "service_account"',
    "an empty object": {},
    "an empty object as text": "{}",
    "an array": [ACCOUNT],
    "an array as text": json.dumps([ACCOUNT]),
    "null as text": "null",
    "a number": 7,
    "a truth": True,
    "spaces": "   ",
    "the name of a file": "/var/run/secrets/google.json",
    "nested without end": "[" * 5000,
    "nested objects without end": '{"a":' * 5000,
    "an external account": EXTERNAL,
    "an external account that is none": {**EXTERNAL, **ACCOUNT, "type": "external_account"},
    "a user": USER,
    "a user with all else": {**ACCOUNT, **USER},
    "impersonated": {**ACCOUNT, "type": "impersonated_service_account"},
    "the type in capitals": {**ACCOUNT, "type": "SERVICE_ACCOUNT"},
    "no type": {name: value for name, value in ACCOUNT.items() if name != "type"},
    "another token_uri": {**ACCOUNT, "token_uri": "https://evil.example/token"},
    "token_uri over http": {**ACCOUNT, "token_uri": "http://oauth2.googleapis.com/token"},
    "token_uri with a user": {**ACCOUNT, "token_uri": "https://oauth2.googleapis.com@evil.example/token"},
    "token_uri of this host": {**ACCOUNT, "token_uri": "http://169.254.169.254/computeMetadata/v1/"},
    "no token_uri": {name: value for name, value in ACCOUNT.items() if name != "token_uri"},
    "token_uri as an array": {**ACCOUNT, "token_uri": [ACCOUNT["token_uri"]]},
    "another universe": {**ACCOUNT, "universe_domain": "evil.com"},
    "no universe": {**ACCOUNT, "universe_domain": None},
    "no client_email": {name: value for name, value in ACCOUNT.items() if name != "client_email"},
    "an empty client_email": {**ACCOUNT, "client_email": ""},
    "client_email as an object": {**ACCOUNT, "client_email": {"@": "@"}},
    "no private_key": {name: value for name, value in ACCOUNT.items() if name != "private_key"},
    "an empty private_key": {**ACCOUNT, "private_key": ""},
    "private_key as a number": {**ACCOUNT, "private_key": 7},
    "private_key with a lone surrogate": {**ACCOUNT, "private_key": f"\ud800{PEM}"},
    "private_key without its lines": {**ACCOUNT, "private_key": PEM.replace("\n", "\\n")},
    "private_key cut off": {**ACCOUNT, "private_key": PEM[:800]},
    "private_key_id as a number": {**ACCOUNT, "private_key_id": 7},
    "a public key": {**ACCOUNT, "private_key": public(PEM)},
    "an elliptic curve": {**ACCOUNT, "private_key": pem(ec.generate_private_key(ec.SECP256R1()))},
    "an Edwards curve": {**ACCOUNT, "private_key": pem(ed25519.Ed25519PrivateKey.generate())},
    "an unknown algorithm": {**ACCOUNT, "private_key": UNKNOWN},
    "an encrypted key": {
        **ACCOUNT,
        "private_key": pem(serialization.load_pem_private_key(PEM.encode(), None), password=b"x"),
    },
    "a key of 1024 bits": {**ACCOUNT, "private_key": rsa_of(1024)},
    "a key too long to check": {**ACCOUNT, "private_key": PEM * 3},
    "huge": json.dumps({**ACCOUNT, "private_key": PEM + "x" * 10_000_000}),
    "a huge email": {**ACCOUNT, "client_email": "x@" + "y" * 20_000},
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_is_no_service_account_is_a_wrong_field(value: Any) -> None:
    """The library would fall back on the host's own identity, read its files, or post to an address that stands there."""
    found = problems({**BASE, JSON: value})
    assert list(found) == [JSON]
    assert all(text.startswith(("must ", "is required")) for text in found[JSON])
    assert not any(part in str(found) for part in ("evil", "BEGIN", "passwd", EMAIL))


@pytest.mark.parametrize("value", ["", None])
def test_nothing_at_all_is_as_if_it_was_not_sent(value: object) -> None:
    assert JSON not in problems({**BASE, JSON: value})


def test_only_what_is_needed_is_kept() -> None:
    """Above all no address but the one for tokens, which is Google's."""
    more = {"service_account_impersonation_url": IMPERSONATED, "credential_source": {"file": "/etc/passwd"}, "x": "y"}
    kept = json.loads(CATALOG.parse({**BASE, JSON: {**ACCOUNT, **more}}).secrets[JSON].reveal())
    assert set(kept) == {"type", "client_email", "private_key", "private_key_id", "token_uri"}
    assert kept == {name: ACCOUNT[name] for name in kept}


@pytest.mark.parametrize("left_out", ["universe_domain", "private_key_id", "project_id", "client_id", "auth_uri"])
def test_what_older_key_files_lack_is_not_missed(left_out: str) -> None:
    account = {name: value for name, value in ACCOUNT.items() if name != left_out}
    assert JSON in CATALOG.parse({**BASE, JSON: account}).secrets


def test_a_key_of_4096_bits_is_accepted() -> None:
    assert JSON in CATALOG.parse({**BASE, JSON: {**ACCOUNT, "private_key": rsa_of(4096)}}).secrets


def test_nothing_of_it_is_printed() -> None:
    draft = CATALOG.parse(BY_ACCOUNT)
    shown = f"{draft} {draft!r} {CATALOG.view(draft)} {vars(draft)}"
    assert EMAIL not in shown
    assert PEM.splitlines()[1] not in shown


async def test_one_token_one_upload_and_one_delete_are_sent_and_nothing_else() -> None:
    """An impersonation that the file asks for is none of them; and the upload is the object itself, in one request."""
    google = Google()
    google.create_bucket("my-files")
    account = google.service_account(EMAIL) | {"service_account_impersonation_url": IMPERSONATED}
    async with (
        google.serving() as server,
        opened(gcs.PROVIDER, {**BASE, JSON: account}, loopback(gcs=server.url)) as bucket,
    ):
        await bucket.put("a folder/a+b.txt", BytesBody(b"content"))
        await bucket.delete("a folder/a+b.txt")
    token, put, delete = server.requests
    assert (token.method, token.path) == ("POST", "/token")
    assert dict(parse_qsl(token.body.decode()))["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    upload = "/upload/storage/v1/b/my-files/o?name=a%20folder%2Fa%2Bb.txt&uploadType=media"
    assert (put.method, put.path, put.body) == ("POST", upload, b"content")
    assert (put.headers["content-length"], put.headers["content-type"]) == ("7", "application/octet-stream")
    assert (delete.method, delete.path) == ("DELETE", "/storage/v1/b/my-files/o/a%20folder%2Fa%2Bb.txt")
    assert len({request.headers.get("authorization") for request in (put, delete)}) == 1


async def test_the_right_to_write_is_all_that_is_asked_for() -> None:
    """Not to rule the buckets, as the library would."""
    google = Google()
    google.create_bucket("my-files")
    account = google.service_account(EMAIL)
    async with (
        google.serving() as server,
        opened(gcs.PROVIDER, {**BASE, JSON: account}, loopback(gcs=server.url)) as bucket,
    ):
        await bucket.put("key", BytesBody(b"content"))
    claims = dict(parse_qsl(server.requests[0].body.decode()))["assertion"].split(".")[1]
    scope = json.loads(base64.urlsafe_b64decode(claims + "=="))["scope"]
    assert scope == "https://www.googleapis.com/auth/devstorage.read_write"
