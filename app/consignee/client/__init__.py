"""A typed client of the HTTP API, for asyncio.

async with Client("https://files.example.com", api_key) as client:
    async for destination in client.destinations.list():
        ...

As with `consignee` itself, the public names are imported when they are first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from consignee.client.answers import (
        Account,
        Collection,
        CollectionPage,
        Connectivity,
        Destination,
        DestinationPage,
        DestinationType,
        Usage,
        Verified,
    )
    from consignee.client.client import Client
    from consignee.client.errors import ApiError, ClientError, NotUnderstood, Unreachable, Unsuitable
    from consignee.client.fields import DestinationFields
    from consignee.client.progress import (
        Delivery,
        DeliveryPage,
        DeliveryStatus,
        FileInfo,
        ListedDelivery,
        ListedResultSet,
        Progress,
        ResultPage,
        ResultSet,
    )
    from consignee.client.retries import Retries
    from consignee.client.uploads import Source

_NAMES = {
    "answers": (
        "Account",
        "Collection",
        "CollectionPage",
        "Connectivity",
        "Destination",
        "DestinationPage",
        "DestinationType",
        "Usage",
        "Verified",
    ),
    "client": ("Client",),
    "errors": ("ApiError", "ClientError", "NotUnderstood", "Unreachable", "Unsuitable"),
    "fields": ("DestinationFields",),
    "progress": (
        "Delivery",
        "DeliveryPage",
        "DeliveryStatus",
        "FileInfo",
        "ListedDelivery",
        "ListedResultSet",
        "Progress",
        "ResultPage",
        "ResultSet",
    ),
    "retries": ("Retries",),
    "uploads": ("Source",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Account",
    "ApiError",
    "Client",
    "ClientError",
    "Collection",
    "CollectionPage",
    "Connectivity",
    "Delivery",
    "DeliveryPage",
    "DeliveryStatus",
    "Destination",
    "DestinationFields",
    "DestinationPage",
    "DestinationType",
    "FileInfo",
    "ListedDelivery",
    "ListedResultSet",
    "NotUnderstood",
    "Progress",
    "ResultPage",
    "ResultSet",
    "Retries",
    "Source",
    "Unreachable",
    "Unsuitable",
    "Usage",
    "Verified",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'consignee.client' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"consignee.client.{_HOME[name]}"), name)
