"""A store with something sealed in every kind that may hold it, and the reading of all of it."""

from pathlib import Path
from typing import Any

from consignee.rotation import KeyUse, Rotation
from consignee.sealed import SEALED
from consignee.sealing_key import load_sealer
from consignee.secret import Sealer, Secret, key_id_of, parse_ring
from consignee.settings import SecretsSettings
from consignee.store import Document, Store

ACCOUNTS = ("ann", "bob")
NAMES = ("0", "1")
Plain = dict[tuple[str, str, str, str], str]
"""By kind, account, id and name, what was sealed."""


def sealed_document(kind: str, account: str, id_: str, sealer: Sealer, *, revision: int = 1) -> dict[str, Any]:
    """Return the data of a document of that kind with two secrets, and something besides."""
    place = SEALED[kind]
    data: Any = {
        name: sealer.seal(
            Secret(plain_of(kind, account, id_, name)),
            account=account,
            id=id_,
            revision=revision if place.revised else 0,
            field=place.field.format(name),
        )
        for name in NAMES
    }
    for name in reversed(place.path):
        data = {name: data, "besides": [1, {"of": id_}]}
    return dict(data)


def plain_of(kind: str, account: str, id_: str, name: str) -> str:
    """Return what is sealed there."""
    return f"canary of {kind} {account} {id_} {name}"


async def fill(store: Store, sealer: Sealer, *, each: int = 3) -> Plain:
    """Save so many documents of each kind and account, and return what must be read back."""
    expected: Plain = {}
    for kind in SEALED:
        for account in ACCOUNTS:
            for number in range(each):
                id_ = f"{kind[:2]}{number}"
                await store.save(kind, account, id_, sealed_document(kind, account, id_, sealer))
                expected |= {(kind, account, id_, name): plain_of(kind, account, id_, name) for name in NAMES}
    return expected


async def opened(store: Store, sealer: Sealer) -> Plain:
    """Open all that is sealed in a store; raises StoreError if something does not open."""
    found = {}
    for kind in SEALED:
        for account in ACCOUNTS:
            for document in await store.list(kind, account):
                for name in NAMES:
                    found[kind, account, document.id, name] = _open(kind, document, name, sealer)
    return found


def _open(kind: str, document: Document, name: str, sealer: Sealer) -> str:
    place = SEALED[kind]
    data: Any = document.data
    for step in place.path:
        assert data["besides"] == [1, {"of": document.id}]
        data = data[step]
    return sealer.open(
        data[name],
        account=document.account,
        id=document.id,
        revision=document.revision if place.revised else 0,
        field=place.field.format(name),
    ).reveal()


async def rotation_of(store: Store, settings: SecretsSettings) -> tuple[Rotation, Sealer]:
    """Return what a start finds: the rotation of an open store, and its sealer."""
    sealer = await load_sealer(settings, store)
    return Rotation(store, sealer=sealer, settings=settings), sealer


def counts(uses: list[KeyUse]) -> dict[str, int]:
    """Return the number of documents by key, the keys in their order."""
    return {use.id: use.documents for use in uses}


def ids_in(settings: SecretsSettings) -> list[str]:
    """Return the ids of the keys in the key file."""
    return [key_id_of(key) for key in parse_ring(Path(settings.key_file).read_text())]
