"""Run as a program: sends files to one kind of destination, and prints which packages were imported by which threads.

importing.py KIND
"""

import asyncio
import importlib
import json
import sys
import threading
from importlib.abc import MetaPathFinder
from typing import Any

ELSEWHERE = "wave"
"""Nobody needs it: that its import is noticed shows that those of others would be."""
IMPORTED: dict[str, set[str]] = {}


class Watch(MetaPathFinder):
    """Remembers who imports what, and finds nothing itself. Nobody looks here for what is imported already."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        """Remember."""
        IMPORTED.setdefault(threading.current_thread().name, set()).add(fullname.partition(".")[0])


async def send(name: str) -> None:
    """Upload a small file and a large one, and delete them."""
    from consignee.body import BytesBody
    from consignee.testing.buckets import SMALL_PARTS
    from fakes.obliging import obliging
    from fakes.scripted import scripted
    from providers.kinds import KINDS
    from providers.opening import opened

    kind = KINDS[name]
    IMPORTED.clear()  # what the service itself needs is there
    await asyncio.to_thread(importlib.import_module, ELSEWHERE)
    async with scripted(obliging) as server:
        settings = kind.settings_at(server.url)
        async with opened(kind.provider, kind.fields_at(server.url), settings, parts=SMALL_PARTS) as bucket:
            for body in (BytesBody(b"small"), BytesBody(bytes(3 * SMALL_PARTS.size))):
                await bucket.put("key", body)
                await bucket.delete("key")


if __name__ == "__main__":
    sys.meta_path.insert(0, Watch())
    asyncio.run(send(sys.argv[1]))
    loops = IMPORTED.pop(threading.main_thread().name, set())
    others = set().union(*IMPORTED.values())
    print(json.dumps({"loop": sorted(loops), "others": sorted(others)}))  # noqa: T201
