"""consignee restore: restores a backup where there is nothing yet."""

import argparse
import asyncio

from consignee.backups.restoring import restore
from consignee.settings import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Restore, and say what is there now, and what is still needed."""
    settings = load_settings(arguments.config)
    restored = asyncio.run(restore(arguments.file, settings))
    manifest = restored.manifest
    files = sum(name.startswith("spool/") for name in manifest.members)
    kept = f"{files} files of result sets" if manifest.files else "no files of result sets"
    print(f"restored to {settings.store.path}: the documents, and {kept}, as at {manifest.created_at}")
    if restored.keys:
        print(f"The service starts only with the sealing key that belongs to them: {' or '.join(restored.keys)}")
    return 0
