"""Puts a product's files into its customers' own cloud storage: a service, and a library to embed.

The public names are imported when they are first used, so that `import consignee` costs next to nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # what type checkers take for true; importing it from typing would double what this module costs
if TYPE_CHECKING:
    from consignee.destination import Destination
    from consignee.errors import ConsigneeError
    from consignee.opening import open_destinations
    from consignee.secret import Secret
    from consignee.service import Destinations
    from consignee.settings import Settings, load_settings

_HOME = {
    "ConsigneeError": "errors",
    "Destination": "destination",
    "Destinations": "service",
    "Secret": "secret",
    "Settings": "settings",
    "load_settings": "settings",
    "open_destinations": "opening",
}

__all__ = [
    "ConsigneeError",
    "Destination",
    "Destinations",
    "Secret",
    "Settings",
    "__version__",
    "load_settings",
    "open_destinations",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'consignee' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"consignee.{_HOME[name]}"), name)
