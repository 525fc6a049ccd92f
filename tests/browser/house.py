"""An account with something of everything: what each screen has to show."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from browser.account import SECONDS, Account
from fakes.chaos_process import ChaosServer

Name = Callable[[str], str]
FAILING: Final = "acme-data-lake"
SLOW: Final = "acme-warehouse"
FILES: Final = {
    "visits.csv": b"day,visits\n2030-01-01,1200\n" * 400,
    "prices.json": b'{"total": 3}\n',
    "page.html": b"<p>" * 3000,
}


@dataclass(frozen=True)
class House:
    """The ids of what there is in the account. `names` are all that a customer chose, as they are shown."""

    account: Account
    names: tuple[str, ...]
    working: str
    disabled: str
    failing: str
    slow: str
    collection: str
    moving: str

    def fragment(self, text: str) -> str:
        """Return the fragment of a screen, with ids in place of their names in braces."""
        return text.format_map(vars(self))


def plainly(name: str) -> str:
    """Return the name as it is."""
    return name


async def furnish(account: Account, chaos: ChaosServer, *, name: Name = plainly) -> House:
    """Make destinations that work, fail, are slow and are disabled, and result sets that went to them; `name` changes names.

    One delivery goes on for as long as the storage is slow: `leave` ends it.
    """
    theirs = _of_chaos(chaos)
    working = await account.destination(name("Reports for finance"), s3_path_prefix=name("reports") + "/%DATE%")
    failing = await account.destination(name("Acme data lake"), **theirs, s3_bucket_name=FAILING)
    slow = await account.destination(name("Warehouse import"), **theirs, s3_bucket_name=SLOW)
    disabled = await account.destination(name("Old archive"), enabled=False)
    collection = await account.collection(
        name("Daily figures"),
        working,
        failing,
        disabled,
        manifest=True,
        notification_webhook=f"{chaos.url}/nobody/listens",
    )
    moving = await account.collection(name("Hourly pages"), slow)
    files = {name(file): content for file, content in FILES.items()}
    chaos.set_faults(bucket=FAILING, refuse=1.0, on=["put"])
    chaos.set_faults(bucket=SLOW, delay=10_000 * SECONDS, on=["put"])
    for _ in range(2):
        await account.ended(collection, await account.hand_over(collection, files))
    await account.hand_over(moving, files)
    await _uploading(account, moving)
    names = (
        "Reports for finance",
        "Acme data lake",
        "Warehouse import",
        "Old archive",
        "Daily figures",
        "Hourly pages",
    )
    return House(account, tuple(map(name, names)), working, disabled, failing, slow, collection, moving)


async def leave(house: House, chaos: ChaosServer) -> None:
    """End what is under way."""
    chaos.set_faults(bucket=FAILING)
    chaos.set_faults(bucket=SLOW)
    await house.account.ask("DELETE", f"/collections/{house.moving}")


async def _uploading(account: Account, collection_id: str) -> None:
    async with asyncio.timeout(SECONDS):
        while (await _statuses(account, collection_id)) != {"uploading"}:
            await asyncio.sleep(0.05)


async def _statuses(account: Account, collection_id: str) -> set[str]:
    answer = await account.ask("GET", f"/collections/{collection_id}/results/1")
    return {one["status"] for one in answer["result"]["destination_status"].values()}


def _of_chaos(chaos: ChaosServer) -> dict[str, str]:
    return {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
