"""A precedent: what was asked under an idempotency key, and what is known of what came of it."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import NamedTuple

from consignee.secret import Secret


@dataclass(frozen=True)
class Subject:
    """A document that is to be made: that kind's with this `id`, or, with a `token`, one behind it that holds this token."""

    kind: str
    id: str
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class Precedent:
    """What is known of a key. Revision 0: not saved yet. `made` says that its subject is known to have been made.

    The salt of the fingerprint lies sealed in the store, and so does the answer: neither tells what secrets they hold.
    """

    account: str
    id: str
    subject: Subject
    fingerprint: str
    salt: Secret
    expires_at: str
    made: bool = False
    answer: Secret | None = None
    revision: int = 0

    def is_of(self, content: bytes) -> bool:
        """Whether that was asked for."""
        return hmac.compare_digest(self.fingerprint, fingerprint(content, self.salt))

    def is_same(self, other: "Precedent") -> bool:
        """Whether both are of the same request, though one may know more: no two have the same salt."""
        return self.fingerprint == other.fingerprint


class Judgement(NamedTuple):
    """How a precedent was: over a day old, or begun not long ago; else it is given, if it is not known what came of it."""

    was_old: bool = False
    is_new: bool = False
    unsettled: Precedent | None = None


def fingerprint(content: bytes, salt: Secret) -> str:
    """Return what tells this content from any other, but nothing about it to whoever does not know the salt."""
    return hmac.digest(salt.reveal().encode(), content, hashlib.sha256).hex()
