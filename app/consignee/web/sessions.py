"""Logging in to the console by a link of the operator's: a token that is good once becomes a key that is good for a while.

Both are kept in this process alone, hashed, and are forgotten when it ends.
"""

import base64
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consignee.secret import Secret

INVITED: Final = 600.0
"""Seconds within which a link must be used."""
LOGGED_IN: Final = 12 * 3600.0
"""Seconds that the key is good for which the link is exchanged for."""
_KEY: Final = "css_"
_BYTES: Final = 32


@dataclass(frozen=True)
class _Pass:
    """For which account something is good, and until when."""

    account: str
    until: float


class Sessions:
    """Who was invited, and who is logged in. `clock` tells seconds that only ever grow."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._clock = clock
        self._random = random
        self._invited: dict[bytes, _Pass] = {}
        self._logged_in: dict[bytes, _Pass] = {}

    def __len__(self) -> int:
        """Return how many tokens and keys are kept."""
        return len(self._invited) + len(self._logged_in)

    def invite(self, account: str) -> Secret:
        """Return a token that lets in whoever shows it first, as that account."""
        return self._issue(self._invited, "", account, INVITED)

    def expects_somebody(self) -> bool:
        """Return whether a token is good that nobody has shown yet."""
        return any(one.until > self._clock() for one in self._invited.values())

    def redeem(self, token: str) -> Secret | None:
        """Return a key for a token, which is of no use from now on; None if it never was, or is too old."""
        invited = self._invited.pop(_digest(token), None)
        if invited is None or invited.until <= self._clock():
            return None
        return self._issue(self._logged_in, _KEY, invited.account, LOGGED_IN)

    def account_of(self, key: str) -> str | None:
        """Return whose key it is that `redeem` returned, while it is good; None for any other."""
        if not key.startswith(_KEY):  # nearly every request has a key of the other kind
            return None
        found = self._logged_in.get(_digest(key))
        return found.account if found is not None and found.until > self._clock() else None

    def _issue(self, passes: dict[bytes, _Pass], begin: str, account: str, seconds: float) -> Secret:
        now = self._clock()
        for digest in [digest for digest, one in passes.items() if one.until <= now]:
            del passes[digest]
        text = begin + base64.urlsafe_b64encode(self._random(_BYTES)).decode().rstrip("=")
        passes[_digest(text)] = _Pass(account, now + seconds)
        return Secret(text)


def _digest(text: str) -> bytes:
    """What is looked up by its hash tells nothing of itself by the time that takes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
