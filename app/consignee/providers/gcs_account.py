"""The key file of a service account: what of it is accepted, and kept.

https://developers.google.com/identity/protocols/oauth2/service-account. It is checked, and made anew from just a few members,
before the library sees it: left to itself that falls back on the machine's own identity, reads files of the host, and posts to
addresses that stand in the JSON.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from marshmallow import ValidationError

from consignee.providers.fields import Text

TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105
UNIVERSE: Final = "googleapis.com"
_MEMBERS: Final = ("type", "client_email", "private_key", "private_key_id", "token_uri")
_KEY_LENGTH: Final = 4096
"""Characters that a key of 4,096 bits fits in: to check one of 16,384 takes some 20 seconds."""


class ServiceAccount(Text):
    """The key file of a service account, as a JSON object or as its text; kept are only the members that are needed."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        account = value if isinstance(value, dict) else _parsed(value)
        for name, right in (("type", "service_account"), ("token_uri", TOKEN_URI)):
            if account.get(name) != right:
                raise ValidationError(f"must have {right} as its {name}")
        if account.get("universe_domain", UNIVERSE) != UNIVERSE:
            raise ValidationError(f"must be of the universe {UNIVERSE}")
        kept = {name: account[name] for name in _MEMBERS if name in account}
        if not all(isinstance(member, str) for member in kept.values()) or "@" not in kept.get("client_email", ""):
            raise ValidationError("must be the whole key file of a service account, with its client_email")
        _check_key(kept.get("private_key", ""))
        return super()._deserialize(json.dumps(kept), attr, data, **kwargs)


def _parsed(value: object) -> Mapping[str, Any]:
    try:
        return json_object(value if isinstance(value, str) else "")
    except ValueError:
        raise ValidationError("must be the key file of a service account: a JSON object") from None


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a text holds; raises ValueError if it is anything else."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _check_key(pem: str) -> None:
    """Look at the size first: to check a large key takes seconds."""
    try:
        key = private_key(pem) if len(pem) <= _KEY_LENGTH else None
        if not isinstance(key, RSAPrivateKey) or not 2048 <= key.key_size <= 4096:
            raise ValueError("not such a key")
        load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValidationError("must hold the service account's private_key, an RSA key in PEM") from None


def private_key(pem: str) -> Any:
    """Return the key, of which it is not checked that it is sound, as that takes 30 ms.

    Raises ValueError, TypeError or UnsupportedAlgorithm.
    """
    return load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
