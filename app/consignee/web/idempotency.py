"""The header Idempotency-Key: a request that is repeated with it is carried out once, and answered alike.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from aiohttp import web

from consignee.errors import InvalidRequest
from consignee.idempotency import Claim
from consignee.precedents import Subject
from consignee.store.documents import unused_id
from consignee.web.keys import DESTINATIONS

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
"""The header of an answer that was given before."""

_LONGEST: Final = 255
_KEY: Final = re.compile(rf"[!-~]{{1,{_LONGEST}}}")
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPED: Final = re.compile(r'\\(["\\])')
_BAD: Final = f"must be one key of 1 to {_LONGEST} visible ASCII characters, alone or in quotation marks"

_Made = TypeVar("_Made")


def read_key(request: web.Request) -> str | None:
    """Return the key that a request came with, the same with quotation marks (RFC 8941, section 3.3.3) or without.

    None if it came with none; raises InvalidRequest.
    """
    values = request.headers.getall(HEADER, ())
    if not values:
        return None
    key = values[0].strip(" \t")
    if key.startswith('"'):
        quoted = _QUOTED.fullmatch(key)
        key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else ""
    if len(values) > 1 or not _KEY.fullmatch(key):
        raise InvalidRequest({HEADER: [_BAD]})
    return key


class Once:
    """A request that is to be carried out once, if it has a key."""

    def __init__(self, request: web.Request, account: str, claim: Claim | None) -> None:
        self._request = request
        self._account = account
        self._claim = claim

    async def answer(
        self,
        content: Mapping[str, Any],
        *,
        subject: Callable[[], Awaitable[Subject]],
        make: Callable[[str], Awaitable[_Made]],
        recall: Callable[[str], Awaitable[_Made]],
        render: Callable[[_Made], Awaitable[web.Response]],
    ) -> web.Response:
        """Return the answer about what `make` made, or `recall` found, of that id; without a key, `make` chooses it.

        Raises what Claim.answer raises.
        """
        if self._claim is None:
            return await render(await make(""))

        async def composed(made: Awaitable[_Made]) -> bytes:
            body = (await render(await made)).body
            assert isinstance(body, bytes)
            return body

        asked = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        answer = await self._claim.answer(
            asked,
            await subject(),
            make=lambda unused: composed(make(unused)),
            recall=lambda made: composed(recall(made)),
        )
        headers = {REPLAYED: "true"} if answer.repeated else {}
        return web.Response(body=answer.body, headers=headers, content_type="application/json", charset="utf-8")

    async def unused(self, kind: str) -> Subject:
        """Return a document of that kind that is not there yet."""
        return Subject(kind, await unused_id(self._request.app[DESTINATIONS].store, kind, self._account))


@contextmanager
def once(request: web.Request, account: str, scope: str) -> Iterator[Once]:
    """Keep others with the same key from the same work, named by `scope`, meanwhile; raises InvalidRequest, Conflict."""
    key = read_key(request)
    if key is None:
        yield Once(request, account, None)
        return
    with request.app[DESTINATIONS].idempotency.claim(account, scope, key) as claim:
        yield Once(request, account, claim)
