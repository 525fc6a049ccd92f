"""consignee without HTTP: register a destination, or learn why not."""

from collections.abc import Mapping
from pathlib import Path

from consignee import load_settings, open_destinations
from consignee.errors import VerificationFailed


async def register(account: str, fields: Mapping[str, object]) -> str:
    async with open_destinations(load_settings(Path("consignee.toml"))) as destinations:
        try:
            destination = await destinations.create(account, fields)
        except VerificationFailed as failed:
            return f"{failed.report.code}: {failed}"
        return f"destination {destination.id} works"
