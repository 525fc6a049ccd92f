"""Fifty changes to two kinds of documents, with compactions: what `store.faulty` runs against a failing disk."""

from collections.abc import Callable
from pathlib import Path

from consignee.errors import StoreError
from consignee.store.json_file import JsonFileStore
from store.ledger import documents

KINDS = ("deliveries", "result_sets")
WRITES = 50


async def run(directory: Path, told: Callable[..., None]) -> None:
    """Tell what is begun, acknowledged and refused."""
    store = JsonFileStore(directory, compact_above=1500)
    try:
        await store.open()
    except StoreError as error:
        told("unusable", str(error))
        return
    revisions: dict[tuple[str, str], int] = {}
    for number in range(WRITES):
        place = KINDS[number % 7 % 2], str(number % 3)
        value = None if number % 5 == 4 and revisions.get(place) else f"{number:050}"
        try:
            await _change(store, place, value, revisions, told)
        except StoreError as error:
            told("refused", "/".join(place), str(error), store.writable)
    told("writable", store.writable)
    await store.close()


async def _change(
    store: JsonFileStore,
    place: tuple[str, str],
    value: str | None,
    revisions: dict[tuple[str, str], int],
    told: Callable[..., None],
) -> None:
    document, replaces = "/".join(place), revisions.get(place, 0)
    told("begin", document, value)
    if value is None:
        await store.remove(place[0], "a", place[1], replaces=replaces)
        del revisions[place]
    else:
        revisions[place] = (await store.save(place[0], "a", place[1], {"value": value}, replaces=replaces)).revision
    told("acknowledge", document, value)


async def look(directory: Path) -> dict[str, str]:
    """Return the values that are there."""
    store = JsonFileStore(directory)
    await store.open()
    lists = {kind: await store.list(kind, "a") for kind in KINDS}
    await store.close()
    return documents((kind, one.id, one.data["value"]) for kind, found in lists.items() for one in found)
