"""Provider and Bucket: what every destination type promises.

A module in this folder that holds a `PROVIDER` is a destination type; `consignee.providers.discover` finds it. It is written in
this order: what it is and which page of the vendor it follows; the fields; `open`; the bucket; the table of the vendor's errors.
"""

import abc
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from consignee.body import Body
from consignee.destination import Draft
from consignee.providers.fields import DestinationFields
from consignee.transport import Transport


class Checkpoint:
    """What an upload in parts has achieved; this one is kept in memory. `state` is empty while there is no such upload.

    A state is plain JSON, and may hold what must stay secret.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.state: Mapping[str, Any] = state or {}

    async def save(self, state: Mapping[str, Any]) -> None:
        """Keep the state; on return it is as durable as the checkpoint is."""
        self.state = state


class Missing(Exception):
    """There is no such object, or it is shorter than what is asked for."""


class Bucket(abc.ABC):
    """One customer's bucket, open.

    Both operations raise a ProviderFailure, and nothing else, if the storage or the way there fails.
    """

    found: Mapping[str, str]
    """What the storage has told us meanwhile that is worth remembering with the destination, such as its region."""

    @abc.abstractmethod
    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        """Write the object whole or not at all, replacing what is there; needs no right but to write.

        Success means that a storage service took responsibility for it: an answer that any web server could give is
        NotAStorageService, a redirect is RedirectRefused. A body above the transport's threshold is sent in parts; what was
        achieved is in the `checkpoint`, with which another attempt, also of another process, goes on. Without one, an upload
        in parts that fails is abandoned at once.
        """

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Let the storage forget an unfinished upload in parts, by the state of its checkpoint; succeeds when there is none.

        Needs no right but to abort an upload. The default is for storage that forgets by itself.
        """

    @abc.abstractmethod
    async def delete(self, key: str) -> None:
        """Remove the object; succeeds when there is none. Needs no right but to delete."""

    def read(self, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield that section of an object as it comes, exactly so many bytes; needs no right but to read.

        Raises a ProviderFailure, or Missing. Only what keeps result sets in a bucket asks for this, never of a customer's: a
        type that can't do it says so with NotImplementedError.
        """
        raise NotImplementedError("buckets of this type are not read")


Schema = type[DestinationFields]
Open = Callable[[Draft, Mapping[str, str], Transport], AbstractAsyncContextManager[Bucket]]
"""Opens the bucket of a draft, with what was found earlier. Raises MissingExtra if the type's package is not installed."""


Policy = Callable[[Draft], Mapping[str, Any]]
"""Returns the smallest policy, in the vendor's own form, that lets a destination's bucket and prefix work."""


@dataclass(frozen=True)
class Provider:
    """One way to reach a bucket.

    `extra` names the optional packages that it needs, and `modules` what is imported of them; `aliases` are other accepted names.
    """

    type: str
    label: str
    fields: Schema
    open: Open
    policy: Policy | None = None
    extra: str | None = None
    modules: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def path_prefix(self, draft: Draft) -> str:
        """Return the path prefix of a destination of this type; empty if it has none."""
        return draft.settings.get(self.fields.prefix_field, "")
