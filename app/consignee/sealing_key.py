"""The key that seals secrets at rest: given in the environment, or in a file that is made on the first start."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from consignee.errors import SettingsError, StoreUnusable
from consignee.secret import KEY_BYTES, Sealer, parse_key
from consignee.settings import SecretsSettings
from consignee.store import Store
from consignee.store.disk import write_durably

KIND: Final = "sealing_keys"
SEALED: Final = frozenset({"destinations", "collections", "deliveries", "test_objects"})
"""The kinds of documents that may hold something sealed."""


async def load_sealer(
    settings: SecretsSettings, store: Store, *, random: Callable[[int], bytes] = os.urandom
) -> Sealer:
    """Return the sealer of an open store, making its key if there is neither key nor sealed document yet.

    Raises StoreUnusable if the key is not the one that the store was sealed with, or if there is none; SettingsError if what is
    there is not a key.
    """
    used = [document.id for document in await store.list(KIND, "")]
    key = _given(settings)
    if key is None:
        key = _make(settings, store, used, random)
    sealer = Sealer(key, random=random)
    if not used and SEALED.isdisjoint(store.kinds()):
        await store.save(KIND, "", sealer.key_id, {})
    elif sealer.key_id not in used:
        raise StoreUnusable(
            f"the store is sealed with key {_names(used)}, but {_source(settings)} holds key {sealer.key_id}: "
            "give the key that belongs to this store"
        )
    return sealer


def _given(settings: SecretsSettings) -> bytes | None:
    if settings.key is not None:
        text = settings.key.reveal()
    else:
        try:
            text = Path(settings.key_file).read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{_source(settings)} can't be read: {type(error).__name__}") from None
    try:
        return parse_key(text)
    except ValueError as error:
        raise SettingsError(f"{_source(settings)}: {error}") from None


def _make(settings: SecretsSettings, store: Store, used: list[str], random: Callable[[int], bytes]) -> bytes:
    if used or not SEALED.isdisjoint(store.kinds()):
        raise StoreUnusable(
            f"the store holds secrets sealed with key {_names(used)}, but {_source(settings)} does not exist: "
            "put the key back, from your backup; without it the secrets can't be read"
        )
    key = random(KEY_BYTES)
    path = Path(settings.key_file)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, base64.b64encode(key) + b"\n", mode=0o600)
    except OSError as error:
        raise SettingsError(f"{_source(settings)} can't be written: {type(error).__name__}") from None
    return key


def _source(settings: SecretsSettings) -> str:
    return "CONSIGNEE_SECRETS__KEY" if settings.key is not None else f"the key file {settings.key_file}"


def _names(used: list[str]) -> str:
    return " or ".join(used) if used else "(unknown)"
