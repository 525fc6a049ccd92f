"""Where the files of result sets are, as the settings say: in a directory, or in a staging bucket."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from consignee.catalog import Catalog
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.spool import Spool, spool_directory
from consignee.delivery.staging import Staging
from consignee.destination import Draft
from consignee.egress import Policy
from consignee.endpoint import Endpoint, parse_endpoint
from consignee.errors import InvalidDestination, SettingsError
from consignee.outlets import Outlets, open_outlets
from consignee.providers import Bucket, Provider, discover
from consignee.secret import Secret
from consignee.settings import Settings, StagingSettings
from consignee.store import Store

_OWN = ("type", "prefix", "endpoint_url", "memory_pieces")
"""What is not a field of the type."""
_BUCKETS = ("account_name", "bucket_name", "container_name")
"""How the names of settings end that say which bucket it is."""
_PATIENCE = 3.0
"""Seconds that a process which takes the place of another waits until that one has let go of its spool."""


def result_files(
    settings: Settings, *, store: Store, outlets: Outlets, random: Callable[[int], bytes] = os.urandom
) -> ResultFiles:
    """Return where the files of result sets are, to be opened; raises SettingsError."""
    most_files, most_bytes = settings.delivery.files_per_set, settings.delivery.bytes_per_set or None
    if not settings.staging.type:
        _require_no_bucket(settings.staging)
        alone = partial(store.alone, "spool", patience=_PATIENCE) if store.shared else None
        place = spool_directory(settings)
        return Spool(place, random=random, most_files=most_files, most_bytes=most_bytes, alone=alone)
    provider, draft = staging_bucket(settings.staging)
    return Staging(
        partial(open_bucket, provider, draft, settings.staging, outlets),
        store,
        place=place_of(draft),
        prefix=settings.staging.prefix,
        random=random,
        most_files=most_files,
        most_bytes=most_bytes,
        room=settings.staging.memory_pieces,
    )


@asynccontextmanager
async def opened_files(
    settings: Settings, *, store: Store, random: Callable[[int], bytes] = os.urandom
) -> AsyncIterator[ResultFiles]:
    """Yield the same, open, where there is no service; raises SettingsError, StoreUnusable."""
    async with open_outlets(settings) as outlets:
        files = result_files(settings, store=store, outlets=outlets, random=random)
        await files.open()
        try:
            yield files
        finally:
            await files.close()


def place_of(draft: Draft) -> str:
    """Return what tells one bucket from another: neither its keys nor the way there."""
    return " ".join([draft.type, *(draft.settings[name] for name in sorted(draft.settings) if name.endswith(_BUCKETS))])


def open_bucket(
    provider: Provider, draft: Draft, settings: StagingSettings, outlets: Outlets
) -> AbstractAsyncContextManager[Bucket]:
    """Return the staging bucket, to be opened."""
    return provider.open(draft, {}, outlets.staging(settings.endpoint_url))


def staging_bucket(settings: StagingSettings) -> tuple[Provider, Draft]:
    """Return the provider of the staging bucket, and what it opens; raises SettingsError with all that is wrong."""
    provider = discover()[settings.type]
    given = {name: value for name, value in _given(settings).items() if value}
    if stray := sorted(given.keys() - provider.fields().fields.keys()):
        raise SettingsError(f"staging.{stray[0]}: is not of a bucket of type {settings.type}")
    values = {**given, "type": settings.type, "name": "staging", "enabled": True}
    try:
        return provider, Catalog([provider], _Trusting()).parse(values)
    except InvalidDestination as error:
        told = [f"staging.{name}: {texts[0]}" for name, texts in sorted(error.errors.items())]
        raise SettingsError("; ".join(told)) from None


def _require_no_bucket(settings: StagingSettings) -> None:
    """Who names a bucket wants files to be there; keys may be in the environment of those who have none."""
    for name, value in _given(settings).items():
        if value and name.endswith(_BUCKETS):
            raise SettingsError(f"staging.{name} names a bucket, but staging.type is empty: set that too")


def _given(settings: StagingSettings) -> dict[str, str]:
    every: dict[str, Any] = {one.name: getattr(settings, one.name) for one in fields(settings) if one.name not in _OWN}
    return {name: value.reveal() if isinstance(value, Secret) else value or "" for name, value in every.items()}


class _Trusting(Policy):
    """Any endpoint is good that the operator names, on any port, but for the metadata of a cloud."""

    def parse_endpoint(self, value: object) -> Endpoint:
        """Return the endpoint; raises EndpointInvalid."""
        host = urlsplit(value).hostname if isinstance(value, str) else None
        return parse_endpoint(value, allow_http=True, names=(host or "",), opens=lambda _host, _port: True)
