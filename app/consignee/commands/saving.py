"""Files of a result set, saved in a directory: whole, checked, and never over a file that is there."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from consignee.client import Client, NotUnderstood, ResultSet, Unsuitable
from consignee.client.progress import File
from consignee.delivery.file_names import problem


async def save(client: Client, result: ResultSet, names: Sequence[str], directory: Path) -> list[Path]:
    """Save these files, or all, and return where they are; raises ConsigneeError, OSError."""
    known = {file.name: file for file in result.files}
    if unknown := [name for name in names if name not in known]:
        raise Unsuitable(f"the result set has no file {unknown[0]!r}")
    chosen = [known[name] for name in dict.fromkeys(names)] or [*result.files]
    places = [_place(directory, file.name) for file in chosen]
    directory.mkdir(parents=True, exist_ok=True)
    for file, place in zip(chosen, places, strict=True):
        await _save(client, result, file, place)
    return places


def _place(directory: Path, name: str) -> Path:
    """The name is the service's: it must not lead elsewhere."""
    if problem(name) is not None:
        raise NotUnderstood(f"the service has a file of the name {name!r}, which can't be saved")
    if os.path.lexists(directory / name):
        raise _taken(directory / name)
    return directory / name


def _taken(place: Path) -> Unsuitable:
    return Unsuitable(f"{place} is there already, and no file is ever replaced")


async def _save(client: Client, result: ResultSet, file: File, place: Path) -> None:
    new, digest = place.parent / f".consignee-{uuid.uuid4().hex}", hashlib.sha256()
    try:
        with new.open("xb") as out:
            async for chunk in client.results.download(result.collection_id, result.id, file.name):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise NotUnderstood(f"{file.name!r} did not arrive as the service says that it is")
        os.link(new, place)  # which fails, other than a renaming, if there is a file by now
    except FileExistsError:
        raise _taken(place) from None
    finally:
        new.unlink(missing_ok=True)
