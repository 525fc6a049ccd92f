"""The documents that every contender of the stores saves: destinations, as the service keeps them."""

from typing import Any, Final

from consignee.destination import Destination, to_data
from consignee.secret import Sealer, Secret

KIND: Final = "destinations"
LIMIT: Final = 50
_NOW: Final = "2026-01-31T12:00:00.000000+00:00"
_SETTINGS: Final = {"bucket": "acme-results", "region": "eu-central-1", "path_prefix": "results/{date}/{id}"}
_DESTINATION: Final = Destination(
    type="s3",
    name="Results of Acme",
    enabled=True,
    settings={**_SETTINGS, "access_key_id": "AKIAIOSFODNN7EXAMPLE"},
    secrets={"secret_access_key": Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
    account="acme",
    id="0A1B2C3D",
    revision=1,
    created_at=_NOW,
    updated_at=_NOW,
    found={"region": "eu-central-1"},
)
DATA: Final[dict[str, Any]] = to_data(_DESTINATION, Sealer(bytes(32)))


def place(number: int, accounts: int) -> tuple[str, str]:
    """Return account and id of the document of that number: customers register destinations in no order."""
    return f"account-{number * 7919 % accounts}", f"{number * 2654435761 % (1 << 32):08X}"


def accounts_of(size: int) -> int:
    """Return how many accounts a store with `size` documents is for: so many that none gets full by what is measured."""
    return (size + 20_000) // 25
