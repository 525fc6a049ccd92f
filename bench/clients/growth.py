"""What operations cost where there is so much of something already: prints CPU seconds by operation, as JSON.

growth.py WHAT COUNT HOME
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from consignee import Destinations
from consignee.accounts import Accounts, open_accounts
from consignee.delivery.search import Filter
from consignee.listing import Listing
from growth_service import ACCOUNT, AT_ONCE, Costs, Storage, create_all, fields, service
from measuring import spread

POLL: Final = 0.01


async def of_destinations(count: int, home: Path) -> Costs:
    """One account has so many destinations."""
    costs, storage = Costs(), Storage()
    async with service(home, storage) as destinations:
        ids = await create_all(destinations, count, lambda _: ACCOUNT)
        search = Listing(search_term="department 7")
        await costs.measure("get", lambda n: destinations.get(ACCOUNT, ids[n % count]), times=100)
        await costs.measure("usage of the account", lambda _: destinations.usage(ACCOUNT), times=100)
        await costs.measure("list a page of 10", lambda _: destinations.list(ACCOUNT), times=5)
        await costs.measure("search by name", lambda _: destinations.list(ACCOUNT, search), times=5)
    await costs.measure_starts(home, storage)
    async with service(home, storage) as destinations:
        await costs.measure("test", lambda n: destinations.test_saved(ACCOUNT, ids[n % count]))
        await costs.measure("update", lambda n: destinations.update(ACCOUNT, ids[n % count], {"name": f"Name {n}"}))
        await costs.measure("create", lambda n: destinations.create(ACCOUNT, fields(n)))
        spare = await create_all(destinations, 100, lambda _: ACCOUNT)
        await costs.measure("delete", lambda n: destinations.delete(ACCOUNT, spare[n]))
    return costs


async def of_accounts(count: int, home: Path) -> Costs:
    """So many accounts have a destination and an API key each."""
    costs, storage = Costs(), Storage()
    async with service(home, storage) as destinations:
        ids = await create_all(destinations, count, str)
        accounts = await open_accounts(destinations.store, sealer=destinations.sealer)
        keys = await _keys(accounts, count)
        await costs.measure("find the account of a key", lambda n: accounts.authenticate(keys[n % count]))
        await costs.measure("get", lambda n: destinations.get(str(n % count), ids[n % count]), times=100)
        await costs.measure("list a page of 10", lambda n: destinations.list(str(n % count)))
    await costs.measure_starts(home, storage)
    async with service(home, storage) as destinations:
        await costs.measure("create", lambda n: destinations.create(str(n % count), fields(n)))
    return costs


async def _keys(accounts: Accounts, count: int) -> list[str]:
    keys = [""] * count

    async def create(number: int) -> None:
        keys[number] = await accounts.create_key(str(number))

    await spread(count, AT_ONCE, create)
    return keys


async def of_collections(count: int, home: Path) -> Costs:
    """One account has so many collections, all with the same destination."""
    costs, storage = Costs(), Storage()
    async with service(home, storage) as destinations:
        collections = destinations.dispatch.collections
        one = await destinations.create(ACCOUNT, fields(0))
        asked = {"name": "Shop", "destination_ids": [one.id]}
        await spread(count, AT_ONCE, lambda _: collections.create(ACCOUNT, asked))
        await costs.measure("list the collections", lambda _: collections.list(ACCOUNT), times=2)
        await costs.measure("`used_by` of the destinations", lambda _: collections.uses(ACCOUNT), times=2)
    await costs.measure_starts(home, storage)
    async with service(home, storage) as destinations:
        collections = destinations.dispatch.collections
        await costs.measure("create a collection", lambda _: collections.create(ACCOUNT, asked))
        spare = await create_all(destinations, 100, lambda _: ACCOUNT)
        await costs.measure("delete a destination", lambda n: destinations.delete(ACCOUNT, spare[n]))
    return costs


async def of_deliveries(count: int, home: Path) -> Costs:
    """So many result sets of one file wait for one destination, whose storage does not answer."""
    costs, storage = Costs(), Storage()
    async with service(home, storage) as destinations:
        collection_id = await _collection(destinations)
        storage.gate.clear()

        async def accept(number: int) -> object:
            return await destinations.deliver(ACCOUNT, collection_id, [("a.csv", b"a,b\n1,2\n")])

        await spread(count, AT_ONCE, accept)
        dispatch = destinations.dispatch
        await costs.measure("look at a result set", lambda n: dispatch.view(ACCOUNT, collection_id, 1 + n % count))
        await costs.measure("its status alone", lambda n: dispatch.status(ACCOUNT, collection_id, 1 + n % count))
        await costs.measure("list 10 deliveries", lambda _: dispatch.deliveries.list(ACCOUNT, Filter(), most=10))
        await costs.measure("retention sweep, nothing is old", lambda _: dispatch.results.retire(), times=1)
        await costs.measure("accept a result set", accept, times=4)
    await costs.measure_starts(home, storage)
    async with service(home, storage) as destinations:
        await _drain(costs, storage, destinations, collection_id)
        await _retire(costs, destinations, collection_id)
    return costs


async def _drain(costs: Costs, storage: Storage, destinations: Destinations, collection_id: str) -> None:
    numbers = await destinations.dispatch.results.numbers(ACCOUNT, collection_id)

    async def deliver_all() -> None:
        storage.gate.set()
        for number in reversed(numbers):
            while not await _delivered(destinations, collection_id, number):
                await asyncio.sleep(POLL)

    await costs.measure_once("claim, deliver, acknowledge: each of all", deliver_all(), units=len(numbers))


async def _retire(costs: Costs, destinations: Destinations, collection_id: str) -> None:
    results = destinations.dispatch.results
    count = len(await results.numbers(ACCOUNT, collection_id))
    results._now = lambda: datetime.now(UTC) + timedelta(days=100)  # the only thing that no setting makes pass
    await costs.measure_once("retention sweep, all are old: each", results.retire(), units=count)


async def _delivered(destinations: Destinations, collection_id: str, number: int) -> bool:
    status = await destinations.dispatch.status(ACCOUNT, collection_id, number)
    return all(one["status"] == "success" for one in status["destination_status"].values())


async def of_files(count: int, home: Path) -> Costs:
    """Result sets have so many files."""
    costs, storage = Costs(), Storage()
    async with service(home, storage) as destinations:
        collection_id = await _collection(destinations)
        files = [(f"{number}.csv", b"a,b\n1,2\n") for number in range(count)]

        async def hand_over() -> None:
            await destinations.deliver(ACCOUNT, collection_id, files)
            while not await _delivered(destinations, collection_id, 1):
                await asyncio.sleep(POLL)

        await costs.measure_once("accept and deliver: each file", hand_over(), units=count)
        dispatch = destinations.dispatch
        await costs.measure("look at the result set", lambda _: dispatch.view(ACCOUNT, collection_id, 1), times=2)
        await costs.measure("its status alone", lambda _: dispatch.status(ACCOUNT, collection_id, 1))
        await costs.measure("list its delivery", lambda _: dispatch.deliveries.list(ACCOUNT, Filter(), most=10))
    await costs.measure_starts(home, storage)
    return costs


async def _collection(destinations: Destinations) -> str:
    made = await destinations.create(ACCOUNT, fields(0, enabled=True))
    asked = {"name": "Shop", "destination_ids": [made.id]}
    return (await destinations.dispatch.collections.create(ACCOUNT, asked)).id


WHAT: Final[Mapping[str, Callable[[int, Path], Awaitable[Costs]]]] = {
    "destinations": of_destinations,
    "accounts": of_accounts,
    "collections": of_collections,
    "deliveries": of_deliveries,
    "files": of_files,
}


async def main(what: str, count: int, home: Path) -> None:
    """Print the costs."""
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps((await WHAT[what](count, home)).found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
