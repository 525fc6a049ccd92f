"""What the service answers, as frozen dataclasses with the members of the OpenAPI document. Times are ISO 8601, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Anything that is answered."""

    @classmethod
    def arranged(cls, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the members that it is made from, from those of the answer."""
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as the service answered it, without members that this version does not know."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


def _plain(value: object) -> Any:
    if isinstance(value, Answer):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, kw_only=True)
class Usage(Answer):
    """How much there is, and may be."""

    used: int
    limit: int
    available: int


@dataclass(frozen=True, kw_only=True)
class Pagination(Answer):
    """Which page of a list it is."""

    current_page: int
    page_size: int
    count_this_page: int
    total_count: int
    total_pages: int


@dataclass(frozen=True, kw_only=True)
class Step(Answer):
    """A step of a connectivity test; `ms` are milliseconds."""

    step: str
    ok: bool
    ms: float
    code: str | None = None
    provider_code: str | None = None
    provider_request_id: str | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Connectivity(Answer):
    """The report of a connectivity test; `left_behind` is the key of a file that could not be deleted yet."""

    ok: bool
    steps: tuple[Step, ...]
    left_behind: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verified(Answer):
    """How the test of one destination went."""

    id: str
    ok: bool
    connectivity: Connectivity


@dataclass(frozen=True, kw_only=True)
class LastTest(Answer):
    """The last connectivity test of a destination."""

    ok: bool
    at: str
    connectivity: Connectivity


@dataclass(frozen=True, kw_only=True)
class LogEntry(Answer):
    """What happened, and when."""

    date_time: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Attention(Answer):
    """What the owner of a destination must mend."""

    code: str
    message: str
    hint: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Condition(Answer):
    """How deliveries to a destination go; `state` is ok, failing or needs_attention."""

    state: str
    failures: int
    failing_since: str | None
    next_probe_at: str | None
    attention: Attention | None
    log: tuple[LogEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Destination(Answer):
    """A destination. `settings` are the fields of its own type; of its secrets, the names of those that are set."""

    id: str
    name: str
    type: str
    enabled: bool
    used_by: int
    secrets_set: tuple[str, ...]
    created_at: str
    updated_at: str
    last_test: LastTest | None
    deliveries: Condition
    settings: Mapping[str, Any]

    @classmethod
    def arranged(cls, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return its members, those of its type set apart."""
        known = {each.name for each in fields(cls)}
        return {**found, "settings": {name: value for name, value in found.items() if name not in known}}

    def to_json(self) -> dict[str, Any]:
        """Return it as the service answered it: its settings beside the rest."""
        found = super().to_json()
        settings: dict[str, Any] = found.pop("settings")
        return {**found, **settings}


@dataclass(frozen=True, kw_only=True)
class DestinationPage(Answer):
    """One page of the destinations, and how many there may be."""

    usage: Usage
    destinations: tuple[Destination, ...]
    pagination: Pagination


@dataclass(frozen=True, kw_only=True)
class Collection(Answer):
    """A collection. `notification_webhook_secret` is there once: when the service has just made it."""

    id: str
    name: str
    destination_ids: tuple[str, ...]
    notification_webhook: str | None
    manifest: bool
    secrets_set: tuple[str, ...]
    created_at: str
    updated_at: str
    results_count: int
    next_result_set_id: int
    notification_webhook_secret: str | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as the service answered it."""
        found = super().to_json()
        if self.notification_webhook_secret is None:
            del found["notification_webhook_secret"]
        return found


@dataclass(frozen=True, kw_only=True)
class CollectionPage(Answer):
    """One page of the collections."""

    total_count: int
    total_pages: int
    current_page: int
    count_this_page: int
    collections: tuple[Collection, ...]


@dataclass(frozen=True, kw_only=True)
class Choice(Answer):
    """A value that a field may have, and what it means to people."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Field(Answer):
    """A field of a destination type; it may be left out if the field `unless` is given."""

    name: str
    label: str
    required: bool
    secret: bool
    help: str
    choices: tuple[Choice, ...]
    multiline: bool
    unless: str | None


@dataclass(frozen=True, kw_only=True)
class DestinationType(Answer):
    """A type of destinations, with its fields."""

    type: str
    label: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, kw_only=True)
class Account(Answer):
    """How much an account uses, and may use."""

    destinations_used: int
    destinations_limit: int
    destinations_available: int
    collections_used: int
    collections_limit: int
    collections_available: int
