"""The secrets of a document, sealed for just that account, id and revision; where they are, and how they change keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consignee.errors import StoreError
from consignee.secret import Sealer, Secret, key_id_in
from consignee.store import Data, Document

Secrets = Mapping[str, Secret]


@dataclass(frozen=True)
class Place:
    """Where sealed texts are in documents of a kind, each under its name, and to what besides account and id they are bound.

    What is not `revised` stays as it is when its document is saved anew. What is `expendable` is left out if it can't be
    opened any more.
    """

    path: tuple[str, ...] = ("secrets",)
    field: str = "{}"
    revised: bool = True
    expendable: bool = False


SECRETS: Final = Place()
SEALED: Final[Mapping[str, Place]] = {
    "destinations": SECRETS,
    "collections": SECRETS,
    "test_objects": SECRETS,
    "idempotency_keys": SECRETS,
    "peppers": SECRETS,
    "deliveries": Place(("data", "checkpoints"), "checkpoint {}", revised=False, expendable=True),
}
"""The kinds of documents that may hold something sealed, and where: what is not named here does not change keys."""


def seal_secrets(secrets: Secrets, sealer: Sealer, *, account: str, id: str, revision: int) -> dict[str, str]:  # noqa: A002
    """Return the sealed form of each secret, for the document that is about to be saved there."""
    return {
        name: sealer.seal(secret, account=account, id=id, revision=revision, field=name)
        for name, secret in secrets.items()
    }


def open_secrets(document: Document, sealer: Sealer) -> dict[str, Secret]:
    """Return the document's secrets; raises StoreError if one was altered, moved, or sealed with another key."""
    sealed: Mapping[str, str] = document.data["secrets"]
    return {
        name: sealer.open(text, account=document.account, id=document.id, revision=document.revision, field=name)
        for name, text in sealed.items()
    }


def keys_of(kind: str, data: Data) -> set[str]:
    """Return the ids of the keys that something in a document of that kind is sealed with."""
    return {key_id_in(text) for text in _texts(SEALED[kind].path, data).values()}


def resealed(kind: str, account: str, id: str, data: Data, sealer: Sealer, *, revision: int = 0) -> Data:  # noqa: A002
    """Return the data of that revision as they are to be saved next, sealed with the key that seals now.

    Raises StoreError if something can't be opened.
    """
    place = SEALED[kind]
    if not place.revised and keys_of(kind, data) <= {sealer.key_id}:
        return data
    texts = {}
    for name, text in _texts(place.path, data).items():
        bound: dict[str, Any] = {"account": account, "id": id, "field": place.field.format(name)}
        before, after = (revision, revision + 1) if place.revised else (0, 0)
        try:
            texts[name] = sealer.seal(sealer.open(text, revision=before, **bound), revision=after, **bound)
        except StoreError:
            if not place.expendable:
                raise
    return _with(place.path, data, texts)


def _texts(path: tuple[str, ...], data: Any) -> dict[str, str]:
    """Return the sealed texts by name; nothing where there are none, for some documents never had any."""
    for name in path:
        data = data.get(name, {})
    return dict(data)


def _with(path: tuple[str, ...], data: Data, texts: Mapping[str, str]) -> dict[str, Any]:
    inner = texts if len(path) == 1 else _with(path[1:], data[path[0]], texts)
    return {**data, path[0]: inner}
