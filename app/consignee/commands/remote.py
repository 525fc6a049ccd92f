"""A running service, asked over HTTP."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from consignee.commands.answers import (
    Named,
    Refused,
    Unreachable,
    collections_in,
    destination_in,
    printable,
    understood,
)
from consignee.errors import SettingsError
from consignee.secret import Secret
from consignee.settings import Settings

_PAGE: Final = 100
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 300.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 - asked where to listen, not told
_KEY = re.compile(r"[!-~]+")


class Remote:
    """The service at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: aiohttp.MultipartWriter | None = None,
    ) -> Mapping[str, Any]:
        """Return the answer; raises Refused or Unreachable."""
        try:
            async with self._session.request(
                method, self.url + path, params=params, data=data, allow_redirects=False
            ) as response:
                return understood(response.status, await response.read(), url=self.url)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Unreachable(f"the service at {self.url} can't be reached, or broke off: {why}") from None

    async def collection(self, wanted: str) -> Named:
        """Return the collection of that id, or else of that name; raises Unreachable, or Refused if there is not just one."""
        every = [one async for one in self._collections()]
        found = [one for one in every if one.id == wanted] or [one for one in every if one.name == wanted]
        if not found:
            raise Refused(f"there is no collection {printable(wanted)!r}")
        if len(found) > 1:
            ids = ", ".join(one.id for one in found)
            raise Refused(f"there are {len(found)} collections of that name; give the id of one: {ids}")
        return found[0]

    async def _collections(self) -> AsyncIterator[Named]:
        page = pages = 1
        while page <= pages:
            answer = await self.ask("GET", "/collections", params={"page": str(page), "page_size": str(_PAGE)})
            found, pages = collections_in(answer)
            for one in found:
                yield one
            page = page + 1 if found else pages + 1

    async def name_of(self, destination_id: str) -> str:
        """Return a destination's name, or its id if that can't be had."""
        try:
            found = destination_in(await self.ask("GET", f"/destinations/{destination_id}"))
        except (Refused, Unreachable):
            return destination_id
        return printable(found.name)


@asynccontextmanager
async def reached(url: str, key: Secret) -> AsyncIterator[Remote]:
    """Yield the service at that URL. Redirects and proxies would get to see the key: there are none."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session:
        yield Remote(session, url)


def url_of(given: str | None, settings: Settings) -> str:
    """Return where the service is; raises SettingsError."""
    if given is None:
        return _own_url(settings)
    try:
        parts = urlsplit(given)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed or "@" in given or "?" in given or "#" in given or not given.isprintable():
        raise SettingsError("--url must be an http or https URL without user name, query and fragment")
    return given.rstrip("/")


def _own_url(settings: Settings) -> str:
    if not settings.server.port:
        raise SettingsError("the settings leave the port open: say with --url where the service is")
    host = _EVERYWHERE.get(settings.server.host, settings.server.host)
    return f"http://[{host}]:{settings.server.port}" if ":" in host else f"http://{host}:{settings.server.port}"


def key_in(text: str, where: str) -> Secret:
    """Return the API key that is all there is in a text; raises SettingsError."""
    if not _KEY.fullmatch(text.strip()):
        raise SettingsError(f"{where} must hold an API key, and nothing else")
    return Secret(text.strip())
