"""The destination types: one module each, found by discovery."""

import pkgutil
from collections.abc import Iterable, Mapping
from importlib import import_module

from consignee.providers.base import Bucket, Provider

__all__ = ["Bucket", "Provider", "discover"]


def discover(folders: Iterable[str] = __path__, package: str = __name__) -> Mapping[str, Provider]:
    """Return the provider of each module in the folders of a package that holds a `PROVIDER`, by destination type, sorted."""
    modules = (import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(folders))
    found = [module.PROVIDER for module in modules if isinstance(getattr(module, "PROVIDER", None), Provider)]
    return {provider.type: provider for provider in sorted(found, key=lambda provider: provider.type)}
