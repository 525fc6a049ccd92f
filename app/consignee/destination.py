"""Destination: a customer's bucket, as it is known to us. And how one becomes a stored document and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consignee.sealed import open_secrets, seal_secrets
from consignee.secret import Sealer, Secret
from consignee.store import Document


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The checked fields of a destination, as a customer gave them."""

    type: str
    name: str
    enabled: bool
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]


@dataclass(frozen=True, kw_only=True)
class Destination(Draft):
    """A destination; `found` is what its storage told us about it, such as the bucket's region. Times are ISO 8601, UTC."""

    account: str
    id: str
    revision: int
    created_at: str
    updated_at: str
    found: Mapping[str, str] = field(default_factory=dict)
    last_test: Mapping[str, Any] | None = None

    @property
    def draft(self) -> Draft:
        """The part that a customer decides."""
        return Draft(type=self.type, name=self.name, enabled=self.enabled, settings=self.settings, secrets=self.secrets)


def same_place(before: Draft, after: Draft) -> bool:
    """Whether both name the same bucket, reached by the same settings."""
    return (before.type, before.settings) == (after.type, after.settings)


def same_way(before: Draft, after: Draft) -> bool:
    """Whether both name the same bucket, with the same credentials."""
    return same_place(before, after) and before.secrets == after.secrets


def needs_test(before: Draft, after: Draft) -> bool:
    """Whether an update must be proven: it enables the destination, or changes how an enabled one is reached."""
    return after.enabled and not (before.enabled and same_way(before, after))


def to_data(destination: Destination, sealer: Sealer) -> dict[str, Any]:
    """Return the stored form of what is about to be saved as `destination.revision`, its secrets sealed for just that."""
    place: dict[str, Any] = {"account": destination.account, "id": destination.id, "revision": destination.revision}
    return {
        "type": destination.type,
        "name": destination.name,
        "enabled": destination.enabled,
        "settings": dict(destination.settings),
        "secrets": seal_secrets(destination.secrets, sealer, **place),
        "found": dict(destination.found),
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
        "last_test": destination.last_test,
    }


def from_document(document: Document, sealer: Sealer) -> Destination:
    """Return the destination in a stored document; raises StoreError if a secret was altered or sealed with another key."""
    data: dict[str, Any] = {**document.data, "secrets": open_secrets(document, sealer)}
    return Destination(account=document.account, id=document.id, revision=document.revision, **data)
