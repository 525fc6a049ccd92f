"""The access tokens of service accounts: one for all who open a bucket with the same key at the same endpoint.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from consignee.secret import Secret

MOST: Final = 1000
_LIFETIME: Final = 3600
_MARGIN: Final = 60
"""Seconds for which a token holds at most, and those before its end in which it is not used any more."""

Fetch = Callable[[], Awaitable[Any]]
"""Asks for a new token: returns its `value` and for how many seconds it holds, `expires_in`."""


class SharedToken:
    """The token of one account at one endpoint."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._value = Secret("")
        self._good_until = float("-inf")

    async def get(self, fetch: Fetch) -> Secret:
        """Return a token that is good for a while; those who ask while it is fetched wait for that one."""
        async with self._fetching:
            now = self._clock()
            if now >= self._good_until:
                fetched = await fetch()
                lasts = min(max(fetched.expires_in - _MARGIN, _MARGIN), _LIFETIME)
                self._value, self._good_until = Secret(str(fetched.value)), now + lasts
            return self._value

    def drop(self, refused: Secret | None = None) -> None:
        """Forget the token, or only if it is still the one that was refused."""
        if refused is None or refused == self._value:
            self._good_until = float("-inf")


class TokenCache:
    """The tokens that were used last, at most `most`; what finds one is a digest of the whole key and of the endpoint."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._tokens: OrderedDict[bytes, SharedToken] = OrderedDict()

    def token(self, account: Secret, endpoint: str) -> SharedToken:
        """Return the token of this account there."""
        digest = hashlib.sha256(json.dumps([account.reveal(), endpoint]).encode()).digest()
        token = self._tokens.setdefault(digest, SharedToken(self._clock))
        self._tokens.move_to_end(digest)
        if len(self._tokens) > self._most:
            self._tokens.popitem(last=False)
        return token
