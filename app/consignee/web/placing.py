"""Where consignee lies in somebody else's application: under a prefix of its own, or, without one, among the other routes.

aiohttp adds no application without a prefix. So each path of ours is a resource of the other application's router, which leads
to our application, with its middlewares, signals and keys. What has no path of ours never comes here.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web
from aiohttp.hdrs import METH_ANY
from aiohttp.web_urldispatcher import (
    AbstractResource,
    MatchedSubAppResource,
    MatchInfoError,
    PrefixResource,
    UrlMappingMatchInfo,
)
from yarl import URL

log = logging.getLogger(__name__)

PARTS: Final = web.AppKey("PARTS", dict[str, web.Application])
"""The parts of an application that are consignee, by their prefixes."""
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", re.ASCII)
_PARAMETER: Final = re.compile(r"\{[^{}]*\}")


def place(host: web.Application, part: web.Application, prefix: str) -> None:
    """Add the part to the application; raises ValueError for a wrong prefix or a taken one, RuntimeError if it is too late."""
    prefix = _checked(host, prefix)
    if prefix:
        host.add_subapp(prefix, part)
    else:
        _share(host, part)
    host.setdefault(PARTS, {})[prefix] = part


def _checked(host: web.Application, prefix: str) -> str:
    """Return the prefix without a slash at its end."""
    if prefix == "/":
        raise ValueError('the prefix "/" is written "": consignee lies among the other routes of the application then')
    bare = prefix.removesuffix("/")
    if not _PREFIX.fullmatch(bare):
        raise ValueError(
            f'the prefix {prefix!r} is no path: write "" or one like "/storage", of letters, digits and -._~'
        )
    if host.pre_frozen:
        raise RuntimeError("the application runs already, or is a part of another one: call setup() before that")
    if bare in host.get(PARTS, {}):
        where = f"under {bare!r}" if bare else "without a prefix"
        raise ValueError(f"consignee is in this application {where} already: call setup() once, or give another prefix")
    return bare


def _share(host: web.Application, part: web.Application) -> None:
    shared = Shared(host, part)
    part.on_startup.append(shared.look)
    first, *others = shared.paths
    host._add_subapp(lambda: first, part)
    for path in others:
        host.router.register_resource(path)


class Shared:
    """The paths of ours in the router of another application. Its own routes for the same go first."""

    def __init__(self, host: web.Application, part: web.Application) -> None:
        self._host = host
        self.part = part
        by_path: dict[str, list[AbstractResource]] = {}
        for resource in part.router.resources():
            by_path.setdefault(resource.canonical, []).append(resource)
        self.paths = [Path(self, resources) for resources in by_path.values()]
        self._theirs: dict[str, set[str]] = {}
        self._folders: set[str] = set()

    async def look(self, _: web.Application) -> None:
        """See which routes the other application has by itself, and tell which of ours they take the place of."""
        for resource in self._host.router.resources():
            # aiohttp asks those that are for one domain before all others.
            if not isinstance(resource, Path | MatchedSubAppResource):
                self._note(resource)
        ours = [(route.method, path) for path in self.paths for route in path]
        if taken := [f"{method} {path.canonical}" for method, path in ours if self._is_theirs(path, method)]:
            log.warning("routes that the application around consignee has itself, and answers: %s", ", ".join(taken))

    def _note(self, resource: AbstractResource) -> None:
        if isinstance(resource, PrefixResource) and resource.canonical.strip("/"):
            self._folders.add(resource.canonical + "/")
        for route in resource:
            self._theirs.setdefault(_shape(route.resource or resource), set()).add(route.method)

    async def match(self, request: web.Request, path: "Path") -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Return what a request for one of our paths leads to: also a wrong verb is ours, unless they have the path too."""
        match, allowed = await path.match(request)
        if match is None:
            if not allowed:
                return None, allowed
            path, match = await self._by_method(request, path)
        if self._is_theirs(path, request.method if match is not None else None):
            return None, allowed
        if match is None:
            match = MatchInfoError(web.HTTPMethodNotAllowed(request.method, allowed))
        match.add_app(self.part)
        return match, allowed

    async def _by_method(self, request: web.Request, path: "Path") -> tuple["Path", UrlMappingMatchInfo | None]:
        """Return another path of ours that has the method, as `/destinations/{id}` may for `/destinations/test`."""
        for other in self.paths:
            match, _ = await other.match(request)
            if match is not None:
                return other, match
        return path, None

    def _is_theirs(self, path: "Path", method: str | None) -> bool:
        """Whether they have the path, with that method or, if it is None, with any; all in a folder of theirs is theirs."""
        if any((path.canonical + "/").startswith(folder) for folder in self._folders):
            return True
        theirs = self._theirs.get(_shape(path), set())
        return bool(theirs) if method is None else not theirs.isdisjoint((method, METH_ANY))


class Path(AbstractResource):
    """One path of ours among those of another application."""

    def __init__(self, shared: Shared, resources: list[AbstractResource]) -> None:
        super().__init__()
        self._shared = shared
        self._resources = resources

    @property
    def canonical(self) -> str:
        return self._resources[0].canonical

    def url_for(self, **parts: str) -> URL:
        return self._resources[0].url_for(**parts)

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        return await self._shared.match(request, self)

    async def match(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Return what our own route says, and the methods that the path has if it is this one."""
        allowed: set[str] = set()
        for resource in self._resources:
            match, methods = await resource.resolve(request)
            allowed |= methods
            if match is not None:
                return match, allowed
        return None, allowed

    def add_prefix(self, prefix: str) -> None:
        for resource in self._resources:
            resource.add_prefix(prefix)

    def get_info(self) -> Any:
        return self._resources[0].get_info()

    def freeze(self) -> None:
        for resource in self._resources:
            resource.freeze()

    def raw_match(self, path: str) -> bool:
        """Never: what somebody adds with the same path is a resource of its own."""
        return False

    def __len__(self) -> int:
        return sum(map(len, self._resources))

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return (route for resource in self._resources for route in resource)


def _shape(resource: AbstractResource) -> str:
    """Return the path with its parameters unnamed."""
    return _PARAMETER.sub("{}", resource.canonical)
