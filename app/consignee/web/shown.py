"""Destinations as they are answered. What does not change is encoded once: each destination for each of its revisions, and
each answer until something of its account has changed."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import Any, Final, NamedTuple

from consignee.collections import KIND as USERS
from consignee.delivery import conditions
from consignee.destination import Destination
from consignee.errors import NotFound
from consignee.listing import Listing, Page, paginate
from consignee.service import KIND, Destinations
from consignee.web.answers import enclose, encode

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of what is kept; of more, that of the accounts goes that asked for nothing the longest."""
_SHARE: Final = 4
"""Of that, one account may have one part of so many."""
_OVERHEAD: Final = 600
"""Bytes that keeping something takes besides what is kept."""
_WELL: Final = encode(conditions.view(conditions.WELL))


class Shown(NamedTuple):
    """A destination as it is answered, but for what others decide: its text has a gap for that, and then an end."""

    id: str
    revision: int
    name: str
    type: str
    enabled: bool
    created_at: str
    begin: bytes
    middle: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.begin) + len(self.middle) + _OVERHEAD

    def text(self, used_by: int, condition: conditions.Condition) -> bytes:
        """Return the whole: so many collections name it, and so deliveries to it go."""
        state = _WELL if condition is conditions.WELL else encode(conditions.view(condition))
        return b"%b%d%b%b}" % (self.begin, used_by, self.middle, state)


@dataclass
class _Kept:
    """What is kept for one account: its destinations, and answers as of one version of what they are made from."""

    version: object = None
    answers: dict[object, bytes] = field(default_factory=dict)
    shown: Mapping[str, Shown] = field(default_factory=dict)
    of_answers: int = 0
    of_shown: int = 0

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return self.of_answers + self.of_shown + _OVERHEAD


class Answers:
    """The answers about destinations."""

    def __init__(self, destinations: Destinations, *, most_bytes: int = MOST_BYTES) -> None:
        self._destinations = destinations
        self._store = destinations.store
        self._dispatch = destinations.dispatch
        self._most_bytes = most_bytes
        self._accounts: OrderedDict[str, _Kept] = OrderedDict()
        self.size = 0
        """Bytes that are kept, about."""
        destinations.deleted.insert(0, self._forget)  # whatever becomes of what the others do

    async def one(self, account: str, id: str) -> bytes:  # noqa: A002
        """Return the answer about a destination; raises NotFound."""
        kept = self._kept(account)
        if (known := kept.answers.get(id)) is not None:
            return known
        answer = await self.about(await self._destinations.get(account, id))
        self._keep_answer(account, kept, id, answer)
        return answer

    async def about(self, destination: Destination) -> bytes:
        """Return the answer about a destination that was read, or saved, just now."""
        account, shown = destination.account, self._shown(destination)
        uses = await self._dispatch.collections.uses(account)
        condition = await self._dispatch.conditions.look(account, shown.id)
        text = shown.text(uses[shown.id], condition)
        return enclose(b'"usage":%b,"destination":%b' % (await self._usage(account), text))

    async def page(self, account: str, listing: Listing) -> bytes:
        """Return the answer that lists destinations; raises InvalidRequest."""
        kept = self._kept(account)
        if (known := kept.answers.get(listing)) is not None:
            return known
        page = await self._page(account, kept, listing)
        uses = await self._dispatch.collections.uses(account)
        condition_of = await self._dispatch.conditions.look_at_all(account)
        texts = b",".join([one.text(uses[one.id], condition_of(one.id)) for one in page.destinations])
        pagination, usage = encode(page.to_json()), await self._usage(account)
        answer = enclose(b'"usage":%b,"destinations":[%b],"pagination":%b' % (usage, texts, pagination))
        asked = getsizeof(listing.search_term) + getsizeof(listing.type)
        self._keep_answer(account, kept, listing, answer, asked=asked)
        return answer

    async def _page(self, account: str, kept: _Kept, listing: Listing) -> Page[Shown]:
        canonical = self._destinations.catalog.canonical(listing.type)
        known, shown = kept.shown, dict[str, Shown]()
        for id_, revision in (await self._store.revisions(KIND, account)).items():
            one = known.get(id_)
            if one is None or one.revision != revision:
                try:
                    one = self._shown(await self._destinations.get(account, id_))
                except NotFound:  # removed meanwhile
                    continue
            shown[id_] = one
        self._keep_shown(account, kept, shown)
        return paginate(shown.values(), replace(listing, type=canonical))

    def _shown(self, destination: Destination) -> Shown:
        begin: dict[str, Any] = {
            "id": destination.id,
            "name": destination.name,
            "type": destination.type,
            "enabled": destination.enabled,
        }
        middle = {
            **self._destinations.catalog.view(destination),
            "created_at": destination.created_at,
            "updated_at": destination.updated_at,
            "last_test": destination.last_test,
        }
        return Shown(
            **begin,
            revision=destination.revision,
            created_at=destination.created_at,
            begin=encode(begin)[:-1] + b',"used_by":',
            middle=b"," + encode(middle)[1:-1] + b',"deliveries":',
        )

    async def _usage(self, account: str) -> bytes:
        return encode((await self._destinations.usage(account)).to_json())

    def _kept(self, account: str) -> _Kept:
        """Return what is kept for the account, without answers that are not true any more."""
        store, known = self._store, self._dispatch.conditions
        version = store.version(KIND, account), store.version(USERS, account), known.changes
        if (kept := self._accounts.get(account)) is None:
            kept = _Kept(version)
        elif kept.version != version:
            self._drop(account)
            kept = _Kept(version, shown=kept.shown, of_shown=kept.of_shown)
        else:
            self._accounts.move_to_end(account)
            return kept
        self._accounts[account] = kept
        self._grow(kept.size)
        return kept

    def _keep_answer(self, account: str, kept: _Kept, key: object, answer: bytes, *, asked: int = 0) -> None:
        size = len(answer) + asked + _OVERHEAD
        # What other processes change, nobody hears of here: it would never be found true again.
        if not self._store.shared and self._has_room(account, kept, size):
            kept.answers[key] = answer
            kept.of_answers += size
            self._grow(size)

    def _keep_shown(self, account: str, kept: _Kept, shown: Mapping[str, Shown]) -> None:
        size = sum(one.size for one in shown.values())
        if self._has_room(account, kept, more := size - kept.of_shown):
            kept.shown, kept.of_shown = shown, size
            self._grow(more)

    def _has_room(self, account: str, kept: _Kept, size: int) -> bool:
        return self._accounts.get(account) is kept and kept.size + size <= self._most_bytes // _SHARE

    def _grow(self, size: int) -> None:
        self.size += size
        while self.size > self._most_bytes:
            self._drop(next(iter(self._accounts)))

    def _drop(self, account: str) -> None:
        if (kept := self._accounts.pop(account, None)) is not None:
            self.size -= kept.size

    async def _forget(self, destination: Destination) -> None:
        self._drop(destination.account)
