"""Sealed records of two accounts, and every way in which somebody who can write to the store may change them."""

import base64
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from consignee.secret import Sealer, Secret

FIELDS: Final = ("s3_access_key_id", "s3_secret_access_key", "checkpoint 0")


@dataclass(frozen=True)
class Record:
    """One sealed secret, where it belongs, and what it is."""

    account: str
    id: str
    revision: int
    field: str
    sealed: str
    plain: str

    @property
    def place(self) -> dict[str, Any]:
        """What it is bound to."""
        return {"account": self.account, "id": self.id, "revision": self.revision, "field": self.field}


def records(sealers: Sequence[Sealer], dice: random.Random) -> list[Record]:
    """Return a record for each of two accounts, five documents, three revisions and three fields, by sealers in turn."""
    places = [
        {"account": account, "id": f"{id_:08X}", "revision": revision, "field": field}
        for account in ("ann", "bob")
        for id_ in range(5)
        for revision in (1, 2, 3)
        for field in FIELDS
    ]
    made = []
    for number, place in enumerate(places):
        plain = f"plain-{number}-" + "x" * dice.randrange(60)
        sealed = sealers[number % len(sealers)].seal(Secret(plain), **place)  # type: ignore[arg-type]
        made.append(Record(**place, sealed=sealed, plain=plain))  # type: ignore[arg-type]
    return made


def swapped(one: Record, other: Record, dice: random.Random) -> Record:
    """Put another record's sealed text into this one's place."""
    return replace(one, sealed=other.sealed)


def moved(one: Record, other: Record, dice: random.Random) -> Record:
    """Change some of what says where a record belongs to what another one says."""
    names = [name for name in one.place if getattr(one, name) != getattr(other, name)]
    chosen = dice.sample(names, dice.randrange(1, len(names) + 1))
    return replace(one, **{name: getattr(other, name) for name in chosen})


def flipped(one: Record, other: Record, dice: random.Random) -> Record:
    """Flip a bit of what is stored, the key's id included."""
    at, bit = dice.randrange(len(one.sealed)), dice.randrange(7)
    return replace(one, sealed=one.sealed[:at] + chr(ord(one.sealed[at]) ^ 1 << bit) + one.sealed[at + 1 :])


def flipped_inside(one: Record, other: Record, dice: random.Random) -> Record:
    """Flip a bit of the nonce, the ciphertext or the tag, and spell the base64 as it should be."""
    raw = bytearray(_raw(one))
    raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    return replace(one, sealed=_sealed(one, bytes(raw)))


def spliced(one: Record, other: Record, dice: random.Random) -> Record:
    """Begin with one record and go on with another, from somewhere on."""
    mine, others = _raw(one), _raw(other)
    at = dice.randrange(1, min(len(mine), len(others)))
    return replace(one, sealed=_sealed(one, mine[:at] + others[at:]))


def shortened(one: Record, other: Record, dice: random.Random) -> Record:
    """Cut the end off."""
    raw = _raw(one)
    return replace(one, sealed=_sealed(one, raw[: dice.randrange(len(raw))]))


def relabelled(one: Record, other: Record, dice: random.Random) -> Record:
    """Say that another key of the ring sealed it."""
    return replace(one, sealed=f"{_key_id(other)}:{one.sealed.partition(':')[2]}")


WAYS: Final[Mapping[str, Callable[[Record, Record, random.Random], Record]]] = {
    way.__name__: way for way in (swapped, moved, flipped, flipped_inside, spliced, shortened, relabelled)
}


def _raw(record: Record) -> bytes:
    return base64.b64decode(record.sealed.partition(":")[2])


def _sealed(record: Record, raw: bytes) -> str:
    return f"{_key_id(record)}:{base64.b64encode(raw).decode()}"


def _key_id(record: Record) -> str:
    return record.sealed.partition(":")[0]
