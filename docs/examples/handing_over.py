"""Result sets without HTTP: hand over a folder of files, and see how far their deliveries are."""

from pathlib import Path

from consignee import Destinations


async def hand_over(destinations: Destinations, account: str, collection_id: str, folder: Path) -> int:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    result_set = await destinations.deliver(account, collection_id, files)
    return result_set.number


async def how_far(destinations: Destinations, account: str, collection_id: str, number: int) -> dict[str, str]:
    view = await destinations.dispatch.view(account, collection_id, number)
    return {destination_id: one["status"] for destination_id, one in view["destination_status"].items()}
