"""consignee deliver: hands files to a running service as one result set, and follows it to its destinations."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consignee.commands.answers import Refused, Result, Status, Unreachable, result_in
from consignee.commands.parcel import Parcel, packed
from consignee.commands.progress import Row, progress_on, size
from consignee.commands.remote import Remote, key_in, reached, url_of
from consignee.errors import SettingsError
from consignee.secret import Secret
from consignee.settings import Settings, load_settings

ENDED: Final = ("success", "failed", "skipped")
PATIENCE: Final = 60.0
"""Seconds for which a service may be away, as for a restart, before it is followed no further."""
_SHORTEST, _LONGEST = 0.2, 3.0
_INTERRUPTED: Final = 130


@dataclass
class _Accepted:
    """Where the result set can be seen, once there is one."""

    path: str = ""
    names: dict[str, str] = field(default_factory=dict)


def run(arguments: argparse.Namespace) -> int:
    """Deliver; return 0 if nothing failed, 1 if a delivery did or its end is not known."""
    settings = load_settings(arguments.config)
    url = url_of(arguments.url, settings)
    parcel = packed(arguments.files)
    key = _key(arguments.key_file, settings)
    accepted = _Accepted()
    try:
        return asyncio.run(_deliver(url, key, parcel, accepted, arguments))
    except KeyboardInterrupt:
        if accepted.path:
            _say(f"interrupted; the delivery goes on: GET {url}{accepted.path}")
        else:
            _say("interrupted before the service confirmed that it has the files: most likely nothing is delivered")
        return _INTERRUPTED


def _key(file: str | None, settings: Settings) -> Secret:
    if file == "-":
        return key_in(sys.stdin.readline(), "standard input")
    if file is not None:
        try:
            return key_in(Path(file).read_text(), file)
        except UnicodeDecodeError:
            raise SettingsError(f"{file} must hold an API key, and nothing else") from None
    if len(settings.accounts.fixed) != 1:
        raise SettingsError("say with --key-file in which file the API key is; - reads it from standard input")
    return settings.accounts.fixed[0].api_key


async def _deliver(url: str, key: Secret, parcel: Parcel, accepted: _Accepted, arguments: argparse.Namespace) -> int:
    async with reached(url, key) as remote:
        collection = await remote.collection(arguments.collection)
        result = await _hand_over(remote, f"/collections/{collection.id}/results", parcel)
        accepted.path = f"/collections/{collection.id}/results/{result.id}"
        about = f"{len(parcel.items)} {'file' if len(parcel.items) == 1 else 'files'}, {size(parcel.size)}"
        print(f"result set {result.id} of collection {collection.id}: {about}", flush=True)
        if arguments.no_wait:
            return 0
        for id_ in result.deliveries:
            accepted.names[id_] = await remote.name_of(id_)
        return await _follow(remote, accepted, result, parcel.size)


async def _hand_over(remote: Remote, path: str, parcel: Parcel) -> Result:
    progress, gone = progress_on(sys.stderr), 0

    def sent(count: int) -> None:
        nonlocal gone
        gone += count
        progress.show([Row("to the service", gone, parcel.size, "uploading")])

    try:
        result = result_in(await remote.ask("POST", path, data=parcel.writer(sent)))
    except Unreachable:
        if parcel.failure is not None:
            raise parcel.failure from None
        raise
    progress.show([Row("to the service", 1, 1, "all of it is there")])
    return result


async def _follow(remote: Remote, accepted: _Accepted, result: Result, total: int) -> int:
    progress, wait, away = progress_on(sys.stderr), _SHORTEST, 0.0
    while True:
        progress.show(_rows(result.deliveries, accepted.names, total))
        if all(one.status in ENDED for one in result.deliveries.values()):
            return _told(result.deliveries, accepted.names)
        await asyncio.sleep(wait)
        try:
            before, result = result, result_in(await remote.ask("GET", accepted.path))
        except Unreachable as error:
            away += wait
            if away > PATIENCE:
                return _lost(remote, accepted, error)
        except Refused as error:
            return _lost(remote, accepted, error)
        else:
            away = 0.0
            wait = _SHORTEST if result != before else min(wait * 1.5, _LONGEST)


def _lost(remote: Remote, accepted: _Accepted, error: Exception) -> int:
    _say(f"{error}; whether all is delivered is not known: GET {remote.url}{accepted.path}")
    return 1


def _rows(deliveries: Mapping[str, Status], names: Mapping[str, str], total: int) -> list[Row]:
    return [Row(names.get(id_, id_), *_amount(one, total), _text(one)) for id_, one in deliveries.items()]


def _amount(one: Status, total: int) -> tuple[int, int]:
    return (1, 1) if one.status == "success" else (min(one.bytes_done, total), total)


def _text(one: Status) -> str:
    text = f"{one.status}, {one.files_done} of {one.files_total} files"
    if one.status in ("retrying", "failed", "skipped") and one.told:
        text += f": {one.told}"
    return text


def _told(deliveries: Mapping[str, Status], names: Mapping[str, str]) -> int:
    for id_, one in deliveries.items():
        print(f"{names.get(id_, id_)}: {_text(one)}")
    if not deliveries:
        print("The collection has no destinations: nothing was to be delivered.")
    return 1 if any(one.status == "failed" for one in deliveries.values()) else 0


def _say(text: str) -> None:
    print(f"consignee: {text}", file=sys.stderr)
