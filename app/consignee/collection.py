"""Collection: what a customer's files belong to, to which destinations its result sets go, and who is told of them."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from consignee.egress import EndpointInvalid, Policy
from consignee.errors import InvalidRequest
from consignee.providers.fields import NAME_LENGTH, Text, Truth, not_blank, text
from consignee.sealed import open_secrets, seal_secrets
from consignee.secret import Sealer, Secret
from consignee.store import Document

MOST_DESTINATIONS: Final = 100
URL_LENGTH: Final = 2048
WEBHOOK_SECRET: Final = "notification_webhook_secret"  # noqa: S105 - the name of a field
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every such secret begins with
_SECRET_BYTES: Final = range(24, 65)

# The part before the path is judged as an endpoint is; behind it stands what RFC 3986 lets stand in a path and a query.
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*://[^/?#]*)((?:[/?](?:[a-z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?)", re.ASCII | re.IGNORECASE
)
_NOT_A_URL: Final = "must be a URL without spaces and without a #, such as https://hooks.example.com/consignee"
_PRIVATE: Final = "must not lead into a private network"
_PROBLEMS: Final[Mapping[str, str]] = {
    "bad_scheme": "must start with https://",
    "bad_host": "must hold the name of a host, or its IP address, and perhaps a port",
    "bad_port": "must have the port 443, or one from 1024 to 65535",
    "blocked_name": _PRIVATE,
    "userinfo": "must not hold a user name or a password",
}
"""What to say for each code of EndpointInvalid; for any other that it is no URL."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection. Times are ISO 8601, UTC.

    `secrets` holds what signs the messages to `notification_webhook`; with `manifest`, a list of its files ends each result set.
    """

    account: str
    id: str
    revision: int
    name: str
    destination_ids: Sequence[str]
    created_at: str
    updated_at: str
    notification_webhook: str | None = field(default=None, repr=False)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    manifest: bool = False
    generated: bool = False
    """Whether its secret was made just now: then it is shown, this once. Never stored."""


def webhook_url(value: str, policy: Policy) -> str:
    """Return the URL, what is before its path in lower case; raises ValidationError, also if the policy refuses it on sight."""
    match = _URL.fullmatch(value)
    if match is None:
        raise ValidationError(_NOT_A_URL)
    try:
        place = policy.parse_endpoint(match[1])
    except EndpointInvalid as error:
        raise ValidationError(_PROBLEMS.get(error.code, _NOT_A_URL)) from None
    if place.is_address and policy.refusal(place.host, place.port):
        raise ValidationError(_PRIVATE)
    return place.url + match[2]


class WebhookUrl(Text):
    """Where to send messages, judged by the egress policy that its schema was given; empty for nowhere."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        url = super()._deserialize(value, attr, data, **kwargs)
        assert isinstance(self.parent, CollectionFields)
        return webhook_url(url, self.parent.policy) if url else ""


def _signing(value: str) -> None:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme"""
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not value.startswith(SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise ValidationError(f"must be {SECRET_PREFIX} and the base64 of 24 to 64 bytes")


class CollectionFields(Schema):
    """What a customer decides about a collection."""

    class Meta:
        unknown = EXCLUDE

    name = text("Name", required=True, check=not_blank, longest=NAME_LENGTH)
    destination_ids = fields.List(
        fields.String(error_messages={"invalid": "must be a destination's id"}),
        required=True,
        validate=validate.Length(max=MOST_DESTINATIONS, error=f"must not be more than {MOST_DESTINATIONS} ids"),
        error_messages={"required": "is required", "null": "is required", "invalid": "must be a list of ids"},
    )
    notification_webhook = text("Notification webhook", field=WebhookUrl, longest=URL_LENGTH)
    notification_webhook_secret = text("Secret of the notification webhook", secret=True, check=_signing)
    manifest = Truth(error_messages={"null": "must be true or false"})

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    @pre_load
    def _plain(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """A form sends one string with commas. An empty secret is none given; no webhook may be written null too."""
        given = {name: value for name, value in data.items() if name != WEBHOOK_SECRET or value not in ("", None)}
        if isinstance(ids := given.get("destination_ids"), str):
            given["destination_ids"] = [one.strip() for one in ids.split(",") if one.strip()]
        if "notification_webhook" in given and given["notification_webhook"] is None:
            given["notification_webhook"] = ""
        return given


def parse(values: Mapping[str, Any], schema: CollectionFields, *, before: Collection | None = None) -> dict[str, Any]:
    """Return the checked members, each id once; what is left out stays as it was `before`. Raises InvalidRequest."""
    try:
        given: dict[str, Any] = schema.load(values, partial=before is not None)
    except ValidationError as error:
        raise InvalidRequest({name: _texts(texts) for name, texts in error.messages_dict.items()}) from None
    if "destination_ids" in given:
        given["destination_ids"] = list(dict.fromkeys(given["destination_ids"]))
    if "notification_webhook" in given:
        given["notification_webhook"] = given["notification_webhook"] or None
    if secret := given.pop(WEBHOOK_SECRET, ""):
        given["secrets"] = {WEBHOOK_SECRET: Secret(secret)}
    return given


def _texts(found: Any) -> list[str]:
    return list(found) if isinstance(found, list) else ["must be a list of ids"]


def to_data(collection: Collection, sealer: Sealer) -> dict[str, Any]:
    """Return the stored form of what is about to be saved as `collection.revision`, its secrets sealed for just that."""
    place: dict[str, Any] = {"account": collection.account, "id": collection.id, "revision": collection.revision}
    kept = {name: value for name, value in vars(collection).items() if name not in (*place, "generated")}
    return {**kept, "secrets": seal_secrets(collection.secrets, sealer, **place)}


def from_document(document: Document, sealer: Sealer) -> Collection:
    """Return the collection in a stored document; raises StoreError if a secret was altered or sealed with another key."""
    document = replace(document, data={"secrets": {}, **document.data})  # collections once had no secrets
    data: dict[str, Any] = {**document.data, "secrets": open_secrets(document, sealer)}
    data.pop("results_count", None)  # it once stood here
    return Collection(account=document.account, id=document.id, revision=document.revision, **data)
