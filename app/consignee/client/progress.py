"""What the service answers about result sets and their deliveries. Times are ISO 8601, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consignee.client.answers import Answer, LogEntry

UNFINISHED: Final = ("pending", "uploading", "retrying")


@dataclass(frozen=True, kw_only=True)
class WebhookStatus(Answer):
    """How the message about a result set goes."""

    status: str
    log: tuple[LogEntry, ...]
    attempts: int
    next_attempt_at: str | None
    code: str | None

    @property
    def finished(self) -> bool:
        """Whether it came to rest."""
        return self.status not in UNFINISHED


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus(WebhookStatus):
    """How the delivery of a result set to one destination goes."""

    files_total: int
    files_done: int
    bytes_done: int


@dataclass(frozen=True, kw_only=True)
class Links(Answer):
    """Where the files of a result set are."""

    pages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class File(Answer):
    """A file of a result set; `size` is in bytes, `sha256` in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Progress(Answer):
    """How the deliveries of a result set are, by the id of each destination."""

    destination_status: Mapping[str, DeliveryStatus]
    webhook_status: WebhookStatus | None

    @property
    def finished(self) -> bool:
        """Whether every delivery came to rest."""
        return all(one.finished for one in self.destination_status.values())


@dataclass(frozen=True, kw_only=True)
class ListedResultSet(Progress):
    """A result set; `id` is its number in its collection."""

    collection_id: str
    id: int
    started_at: str
    ended_at: str
    expires_at: str
    download_links: Links

    def to_json(self) -> dict[str, Any]:
        """Return it as the service answered it: the collection stands beside it."""
        found = super().to_json()
        del found["collection_id"]
        return found


@dataclass(frozen=True, kw_only=True)
class ResultSet(ListedResultSet):
    """A result set with its files."""

    files: tuple[File, ...]


@dataclass(frozen=True, kw_only=True)
class ResultPage(Answer):
    """One page of the result sets of a collection; `results_count` is of all that are kept."""

    collection_id: str
    results_count: int
    results: tuple[ListedResultSet, ...]

    @classmethod
    def arranged(cls, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return its members, each result set with its collection."""
        results, within = found.get("results"), {"collection_id": found.get("collection_id")}
        if not isinstance(results, list):
            return found
        return {**found, "results": [{**one, **within} if isinstance(one, dict) else one for one in results]}


@dataclass(frozen=True, kw_only=True)
class ListedDelivery(DeliveryStatus):
    """The delivery of a result set to a destination."""

    id: str
    collection_id: str
    result_set_id: int
    destination_id: str
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, kw_only=True)
class Upload(Answer):
    """One upload of one file; `ms` are milliseconds."""

    attempt: int
    at: str
    key: str
    bytes: int
    ms: float
    ok: bool
    code: str | None
    provider_code: str | None
    provider_request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Delivery(ListedDelivery):
    """A delivery with its newest uploads."""

    uploads: tuple[Upload, ...]


@dataclass(frozen=True, kw_only=True)
class DeliveryPage(Answer):
    """Some deliveries; the list goes on behind `next_cursor`, unless that is None."""

    deliveries: tuple[ListedDelivery, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class FileInfo(Answer):
    """A file before it is read: its size in bytes, and its ETag."""

    size: int
    etag: str
