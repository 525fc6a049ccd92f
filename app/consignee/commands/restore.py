"""consignee restore: restores a backup where there is nothing yet."""

import argparse
import asyncio

from consignee.backups.restoring import restore
from consignee.commands.backup import require_files, told
from consignee.commands.output import say
from consignee.settings import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Restore, and say what is there now, and what is still needed."""
    settings = load_settings(arguments.config)
    require_files(settings)
    restored = asyncio.run(restore(arguments.file, settings))
    lines = [f"restored to {settings.store.path}: {restored.manifest.content}"]
    if restored.manifest.lack:
        lines.append(restored.manifest.lack)
    if restored.keys:
        lines.append(
            f"The service starts only with the sealing key that belongs to them: {' and '.join(restored.keys)}"
        )
    document = {"restored_to": settings.store.path, **told(restored.manifest), "keys": [*restored.keys]}
    say(arguments, document, lines)
    return 0
