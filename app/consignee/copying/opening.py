"""Opens both ends of a copy, as directories and databases, and where the files of each are."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from consignee.copying.copying import compare, copy_documents
from consignee.copying.directory import DirectoryTarget
from consignee.copying.ends import Source, StoreSource, Target
from consignee.copying.files import Files, copy_files, token_of_the_set
from consignee.delivery.claiming import SPOOLS, STAGED
from consignee.delivery.placing import opened_files
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.delivery.spool import spool_directory
from consignee.errors import SettingsError
from consignee.opening import require_store
from consignee.rules import STORE_URL
from consignee.secret import Secret
from consignee.settings import Settings, StagingSettings
from consignee.store import Document
from consignee.store.json_file import JsonFileStore
from consignee.store.memory import MemoryStore

_OF_FILES: Final = frozenset({SPOOLS, "stagings"})
"""Kinds that say where the files are, or what is on its way there."""


@dataclass(frozen=True)
class Copied:
    """What was copied: how many documents there are of each kind, how many of all had to be written, and the files."""

    source: str
    target: str
    documents: dict[str, int]
    written: int
    files: Files | None


def end(text: str | None, settings: Settings) -> Settings:
    """Return the settings of a store in that directory or at that URL, or of their own if none is named; raises SettingsError.

    A directory has its spool in it, unless it is the one in the settings, and they say otherwise.
    """
    if text is None:
        return settings
    if not text:
        raise SettingsError("--from and --to take a directory or a URL, not an empty text")
    if "://" not in text:
        own = os.path.realpath(text) == os.path.realpath(settings.store.path)
        delivery = settings.delivery if own else replace(settings.delivery, spool="")
        return replace(settings, store=replace(settings.store, path=text, url=Secret("")), delivery=delivery)
    try:
        STORE_URL(Secret(text))
    except ValueError as error:
        raise SettingsError(f"the URL {error}") from None
    return replace(settings, store=replace(settings.store, url=Secret(text)))


async def copy_store(source: Settings, target: Settings, *, files: bool = True) -> Copied:
    """Copy all that the store of one end holds to the other one, and compare; raises SettingsError, StoreError, OSError.

    Files that both have in the same place stay there. Unless `files` are copied, the copy has none of others.
    """
    async with AsyncExitStack() as stack:
        read = await stack.enter_async_context(_source(source))
        own = await _owner_of(read)
        where = _where(own, source)
        moves = _place(where) != _place(_kept(target))
        besides = _OF_FILES if moves else frozenset[str]()
        if copies := moves and files:
            await _require_files(read, own, where)
        written_to = await stack.enter_async_context(_target(target))
        found = await _copy_files(read, written_to, where, _kept(target), own=own) if copies else None
        written = await copy_documents(read, written_to, besides=besides)
        async with written_to.finished() as copied:
            counted = await compare(read, copied, besides=besides)
        return Copied(read.name, written_to.name, dict(counted), written.total(), found)


@asynccontextmanager
async def _source(settings: Settings) -> AsyncIterator[Source]:
    if settings.store.url:
        from consignee.copying.database import opened_source

        async with opened_source(settings.store) as source:
            yield source
        return
    require_store(settings)
    store = JsonFileStore(Path(settings.store.path))
    await store.open()
    try:
        yield StoreSource(settings.store.path, store)
    finally:
        await store.close()


@asynccontextmanager
async def _target(settings: Settings) -> AsyncIterator[Target]:
    if settings.store.url:
        from consignee.copying.database import opened_target

        async with opened_target(settings.store) as target:
            yield target
        return
    directory = DirectoryTarget(Path(settings.store.path))
    try:
        directory.open()
        yield directory
    finally:
        directory.close()


async def _owner_of(source: Source) -> str:
    """Return the id of the place where the files of the source are; empty if it never had one."""
    own = [str(one.data["id"]) async for one in source.documents(SPOOLS, "")]
    return own[0] if own else ""


def _where(own: str, settings: Settings) -> Settings:
    """Return the settings as they are of where the files of the source are, which its documents tell."""
    return settings if own.startswith(STAGED) else replace(settings, staging=StagingSettings())


async def _require_files(source: Source, own: str, where: Settings) -> None:
    """Raise SettingsError if the files are elsewhere: each of them would be missing in the copy."""
    if where.staging.type or not own or RESULT_SETS not in {kind for kind, _ in await source.places()}:
        return  # a bucket is asked when it is opened
    spool = spool_directory(where)
    place, told = f"not in {spool}", "let store.path name their directory, and delivery.spool their spool"
    if own.startswith(STAGED):
        place, told = "in a staging bucket", "name it in [staging]"
    elif _owner_in(spool) == own:
        return
    raise SettingsError(
        f"the files of the result sets in {source.name} are {place}: {told}, or leave them out by --without-files"
    )


def _owner_in(spool: Path) -> str:
    try:
        return (spool / "owner").read_text().strip()
    except FileNotFoundError:
        return ""


def _kept(target: Settings) -> Settings:
    """Return the settings as they are of where the files of the target are to be: a directory has its own beside it."""
    return target if target.store.url else replace(target, staging=StagingSettings())


def _place(settings: Settings) -> str:
    return "" if settings.staging.type else os.path.realpath(spool_directory(settings))


async def _copy_files(source: Source, target: Target, where: Settings, kept: Settings, *, own: str) -> Files:
    async with AsyncExitStack() as stack:
        notes = MemoryStore()
        await notes.open()
        stack.push_async_callback(notes.close)
        old = await stack.enter_async_context(opened_files(where, store=notes))
        if where.staging.type:
            await old.claim(own)
        new = await stack.enter_async_context(opened_files(kept, store=notes, random=token_of_the_set))
        owner = await new.claim(_owner(source, target) if new.listed else None)
        await target.cut(SPOOLS, "", left=0)
        await target.append(SPOOLS, [Document("", "own", 1, {"id": owner})])
        return await copy_files(source, old, new)


def _owner(source: Source, target: Target) -> str:
    """Return whose the files are from now on: the same again if the copy is repeated."""
    return hashlib.sha256(f"{source.name}\n{target.name}".encode()).hexdigest()[:32]
