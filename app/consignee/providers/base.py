"""Provider and Bucket: what every destination type promises.

A module in this folder that holds a `PROVIDER` is a destination type; `consignee.providers.discover` finds it. It is written in
this order: what it is and which page of the vendor it follows; the fields; `open`; the bucket; the table of the vendor's errors.
"""

import abc
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from consignee.body import Body
from consignee.destination import Draft
from consignee.providers.fields import DestinationFields
from consignee.transport import Transport


class Bucket(abc.ABC):
    """One customer's bucket, open.

    Both operations raise a ProviderFailure, and nothing else, if the storage or the way there fails.
    """

    found: Mapping[str, str]
    """What the storage has told us meanwhile that is worth remembering with the destination, such as its region."""

    @abc.abstractmethod
    async def put(self, key: str, body: Body) -> None:
        """Write the object whole or not at all, replacing what is there; needs no right but to write.

        Success means that a storage service took responsibility for it: an answer that any web server could give is
        NotAStorageService, a redirect is RedirectRefused.
        """

    @abc.abstractmethod
    async def delete(self, key: str) -> None:
        """Remove the object; succeeds when there is none. Needs no right but to delete."""


Schema = type[DestinationFields]
Open = Callable[[Draft, Mapping[str, str], Transport], AbstractAsyncContextManager[Bucket]]
"""Opens the bucket of a draft, with what was found earlier. Raises MissingExtra if the type's package is not installed."""


Policy = Callable[[Draft], Mapping[str, Any]]
"""Returns the smallest policy, in the vendor's own form, that lets a destination's bucket and prefix work."""


@dataclass(frozen=True)
class Provider:
    """One way to reach a bucket. `extra` names the optional packages that it needs; `aliases` are other accepted names."""

    type: str
    label: str
    fields: Schema
    open: Open
    policy: Policy | None = None
    extra: str | None = None
    aliases: tuple[str, ...] = ()

    def path_prefix(self, draft: Draft) -> str:
        """Return the path prefix of a destination of this type; empty if it has none."""
        return draft.settings.get(self.fields.prefix_field, "")
