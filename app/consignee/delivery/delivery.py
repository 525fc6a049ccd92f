"""Delivery: one result set on its way to one destination; what a job of the queue holds, and how it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

from consignee.clock import timestamp
from consignee.delivery.result_set import document_id
from consignee.queue import Job

KIND: Final = "deliveries"
PENDING: Final = "pending"
UPLOADING: Final = "uploading"
RETRYING: Final = "retrying"
SUCCESS: Final = "success"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
STATUSES: Final = (PENDING, UPLOADING, SUCCESS, RETRYING, FAILED, SKIPPED)
AGAIN: Final = "Sending again was asked for."
_ENTRIES: Final = 200
"""How many entries of the log, and how many uploads, are kept: the newest."""


class Progress(NamedTuple):
    """How many files of a delivery have arrived, and how many bytes of it went out, at this very moment."""

    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What is known of a delivery. Times are ISO 8601, UTC.

    Of its files, the first `sent_up_to` and those in `sent` are delivered, to what `place` is a fingerprint of. `failures`
    counts attempts that failed in a row. `spared` says how many of the latest crashes in a row do not count, for files arrived
    between them, and `sent_at_crash` how many had then. `uploads` are the single uploads, oldest first. `checkpoints` are of
    unfinished uploads in parts, sealed.
    """

    collection_id: str
    number: int
    destination_id: str
    created_at: str
    status: str = PENDING
    ended_at: str | None = None
    place: str = ""
    sent_up_to: int = 0
    sent: tuple[int, ...] = ()
    bytes_sent: int = 0
    files_total: int = 0
    attempts: int = 0
    failures: int = 0
    spared: int = 0
    sent_at_crash: int = 0
    code: str | None = None
    log: tuple[Mapping[str, str], ...] = ()
    uploads: tuple[Mapping[str, Any], ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id of its job."""
        return delivery_id(self.collection_id, self.number, self.destination_id)

    @property
    def result_set_id(self) -> str:
        """The id of the document of its result set."""
        return document_id(self.collection_id, self.number)

    @property
    def files_sent(self) -> int:
        """How many of its files are delivered."""
        return self.sent_up_to + len(self.sent)

    @property
    def asked_at(self) -> str:
        """When it was asked for: at first, or again the last time, as far as its log goes back."""
        again = (entry["date_time"] for entry in reversed(self.log) if entry["text"] == AGAIN)
        return next(again, self.created_at)

    def with_(self, **changes: Any) -> Self:
        """Return the delivery with other values: what `dataclasses.replace` does, which takes four times as long."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    def is_sent(self, index: int) -> bool:
        """Whether that file is delivered, counted from 0."""
        return index < self.sent_up_to or index in self.sent

    def with_sent(self, index: int, size: int, upload: Mapping[str, Any]) -> "Delivery":
        """Return the delivery with that file of so many bytes delivered, and the record of its upload."""
        sent, first = {*self.sent, index}, self.sent_up_to
        while first in sent:
            sent.remove(first)
            first += 1
        return self.with_(
            sent_up_to=first,
            sent=tuple(sorted(sent)),
            bytes_sent=self.bytes_sent + size,
            checkpoints={name: state for name, state in self.checkpoints.items() if name != str(index)},
            uploads=(*self.uploads, upload)[-_ENTRIES:],
        )

    def with_nothing_sent(self) -> "Delivery":
        """Return the delivery with all files still to be delivered."""
        return self.with_(sent_up_to=0, sent=(), bytes_sent=0, checkpoints={})

    def with_checkpoint(self, index: str, sealed: str | None) -> "Delivery":
        """Return the delivery with the checkpoint of a file, or without."""
        kept = {name: state for name, state in self.checkpoints.items() if name != index}
        return self.with_(checkpoints=kept if sealed is None else {**kept, index: sealed})

    def with_entry(self, now: datetime, text: str) -> "Delivery":
        """Return the delivery with an entry in its log."""
        entry = {"date_time": timestamp(now), "text": text}
        return self.with_(log=(*self.log, entry)[-_ENTRIES:])

    def with_upload(self, upload: Mapping[str, Any]) -> "Delivery":
        """Return the delivery with the record of an upload."""
        return self.with_(uploads=(*self.uploads, upload)[-_ENTRIES:])

    def to_data(self) -> dict[str, Any]:
        """Return the form in which a job holds it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def of(cls, job: Job) -> "Delivery":
        """Return the delivery that a job holds."""
        data: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in job.data.items()
        }
        return cls(**data)


def delivery_id(collection_id: str, number: int, destination_id: str) -> str:
    """Return the id of a delivery: there is one for each result set and destination."""
    return f"{document_id(collection_id, number)}.{destination_id}"


def is_under_way(job: Job) -> bool:
    """Whether an attempt is being made; the lease of one that has just brought the job to rest may still be known."""
    return job.lease is not None and job.due is not None


def status_of(job: Job, progress: Progress | None = None) -> dict[str, Any]:
    """Return the status of a delivery as it is answered; `progress` is that of the attempt under way, if it is here."""
    delivery, under_way = Delivery.of(job), is_under_way(job)
    if progress is None or not under_way:
        progress = Progress(delivery.files_sent, delivery.bytes_sent)
    return {
        "status": UPLOADING if under_way else delivery.status,
        "log": list(delivery.log),
        "files_total": delivery.files_total,
        "files_done": progress.files,
        "bytes_done": progress.bytes,
        "attempts": delivery.attempts,
        "next_attempt_at": None if under_way else time_of(job.due),
        "code": delivery.code,
    }


def time_of(seconds: float | None) -> str | None:
    """Return the time of a queue as it is answered: None for what rests, and for what is due at once."""
    return timestamp(datetime.fromtimestamp(seconds, UTC)) if seconds else None
