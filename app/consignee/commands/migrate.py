"""consignee migrate: brings the schema of the database up to date."""

import argparse
import asyncio

from consignee.commands.output import say
from consignee.errors import SettingsError
from consignee.postgres.migrations import migrate
from consignee.postgres.place import name_of
from consignee.settings import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Print what was changed; raises SettingsError without a database, StoreUnusable for a schema that is newer, StoreError."""
    store = load_settings(arguments.config).store
    if not store.url:
        raise SettingsError("store.url is empty: a store in a directory needs no migration")
    made = asyncio.run(migrate(store.url, timeout=store.timeout))
    name = name_of(store.url)
    lines = [f"{name}: {one}" for one in made] or [f"{name}: nothing to do"]
    say(arguments, {"database": name, "migrations": made}, lines)
    return 0
