"""Destinations, over HTTP."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from consignee.client.answers import Connectivity, Destination, DestinationPage, Verified
from consignee.client.calling import Call, Caller, path
from consignee.client.errors import ApiError, Unreachable
from consignee.client.paging import LARGEST_PAGE, through
from consignee.client.reading import member, read
from consignee.client.understanding import lines, object_in

_BY_LINES: Final = {"Accept": "application/x-ndjson"}


class Destinations:
    """What can be done with destinations. Everything raises ClientError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, fields: Mapping[str, object], *, idempotency_key: str | None = None) -> Destination:
        """Create a destination from its fields and return it; one that is enabled must pass its test."""
        key = idempotency_key or self._caller.new_key()
        return await self._one(Call(method="POST", path="/destinations", content=fields, key=key))

    async def get(self, id: str) -> Destination:  # noqa: A002
        """Return a destination."""
        return await self._one(Call(method="GET", path=path("destinations", id)))

    async def update(self, id: str, fields: Mapping[str, object]) -> Destination:  # noqa: A002
        """Change what is given of a destination and return it; an empty secret stays as it is."""
        return await self._one(Call(method="PUT", path=path("destinations", id), content=fields))

    async def delete(self, id: str) -> None:  # noqa: A002
        """Remove a destination, and cancel its deliveries."""
        await self._caller.ask(Call(method="DELETE", path=path("destinations", id)))

    def list(
        self,
        *,
        search_term: str | None = None,
        enabled: bool | None = None,
        type: str | None = None,  # noqa: A002
        sort_by: str | None = None,
        sort_direction: str | None = None,
        page_size: int = LARGEST_PAGE,
    ) -> AsyncIterator[Destination]:
        """Yield every destination that is asked for, page after page."""

        async def turn(number: int) -> tuple[Iterable[Destination], int]:
            found = await self.page(
                number,
                page_size=page_size,
                search_term=search_term,
                enabled=enabled,
                type=type,
                sort_by=sort_by,
                sort_direction=sort_direction,
            )
            return found.destinations, found.pagination.total_pages

        return through(turn)

    async def page(
        self,
        page: int = 1,
        *,
        page_size: int | None = None,
        search_term: str | None = None,
        enabled: bool | None = None,
        type: str | None = None,  # noqa: A002
        sort_by: str | None = None,
        sort_direction: str | None = None,
    ) -> DestinationPage:
        """Return one page of the destinations that are asked for."""
        query = {
            "page": page,
            "page_size": page_size,
            "search_term": search_term,
            "enabled": enabled,
            "type": type,
            "sort_by": sort_by,
            "sort_direction": sort_direction,
        }
        return read(DestinationPage, await self._caller.ask(Call(method="GET", path="/destinations", query=query)))

    async def test(
        self,
        id: str,  # noqa: A002
        fields: Mapping[str, object] | None = None,
        *,
        under_way: Callable[[str], None] | None = None,
    ) -> Connectivity:
        """Test a saved destination, or what these changes would make of it; raises ApiError, with the report, if it fails.

        `under_way` is told the name of each step as it begins.
        """
        call = Call(method="POST", path=path("destinations", id, "test"), content=fields or {})
        return await self._tested(call, under_way)

    async def test_fields(
        self, fields: Mapping[str, object], *, under_way: Callable[[str], None] | None = None
    ) -> Connectivity:
        """The same for a destination that is not saved."""
        return await self._tested(Call(method="POST", path="/destinations/test", content=fields), under_way)

    async def _tested(self, call: Call, under_way: Callable[[str], None] | None) -> Connectivity:
        if under_way is None:
            return read(Connectivity, (await self._caller.ask(call)).get("connectivity"))
        async with self._caller.opened(replace(call, headers=_BY_LINES)) as response:
            async for line in lines(self._caller.chunks(response)):
                told = object_in(line)
                if "connectivity" in told:
                    return _passed(told)
                under_way(member(told, "under_way", str))
        raise Unreachable(f"the service at {self._caller.url} broke off the test")

    async def verify(self, ids: Iterable[str] | None = None) -> AsyncIterator[Verified]:
        """Test these saved destinations, or all, at once; yield each as its test ends, whatever the outcome."""
        content = {} if ids is None else {"ids": [*ids]}
        call = Call(method="POST", path="/destinations/verify", content=content, headers=_BY_LINES)
        async with self._caller.opened(call) as response:
            async for line in lines(self._caller.chunks(response)):
                yield read(Verified, object_in(line))

    async def resend(self, id: str, *, since: str | None = None) -> int:  # noqa: A002
        """Repeat what failed or was skipped at a destination, since then if it is said; return how many deliveries."""
        content = {} if since is None else {"since": since}
        answer = await self._caller.ask(Call(method="POST", path=path("destinations", id, "resend"), content=content))
        resent: int = member(answer, "resent", int)
        return resent

    async def policy(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Return the smallest policy that lets a destination work, as its vendor has it."""
        return await self._policy(Call(method="GET", path=path("destinations", id, "policy")))

    async def policy_of(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return the same for fields that are not saved; its name and its secrets do not matter."""
        return await self._policy(Call(method="POST", path="/destinations/policy", content=fields))

    async def _policy(self, call: Call) -> dict[str, Any]:
        policy: dict[str, Any] = member(await self._caller.ask(call), "policy", Mapping[str, Any])
        return policy

    async def _one(self, call: Call) -> Destination:
        return read(Destination, (await self._caller.ask(call)).get("destination"))


def _passed(told: Mapping[str, Any]) -> Connectivity:
    """As it is answered all at once, a test that failed is status 400."""
    report = read(Connectivity, told["connectivity"])
    if not report.ok:
        message, code = member(told, "message", str), member(told, "code", str)
        raise ApiError(message, code=code, status=400, connectivity=report)
    return report
