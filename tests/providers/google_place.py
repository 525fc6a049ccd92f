"""An open bucket at the strict fake of Google, with small pieces, and what spoils its sessions."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from consignee.body import BytesBody
from consignee.errors import ProviderFailure
from consignee.providers import Bucket, gcs
from consignee.providers.base import Checkpoint
from consignee.transport import Parts
from fakes import google as faults
from fakes.google import Fault, Google
from fakes.google_answers import failure
from fakes.google_sessions import QUANTUM
from fakes.scripted import Answer, Request, Responder, Server
from providers.opening import COMMON, loopback, opened

EMAIL: Final = "writer@demo-project.iam.gserviceaccount.com"
DATA: Final = random.Random(7).randbytes(3 * QUANTUM + 1000)
BODY: Final = BytesBody(DATA)
PARTS: Final = Parts(threshold=QUANTUM, size=QUANTUM, tries=3, pause=0.001)


@dataclass
class Place:
    """The strict fake with its open bucket; `sent` tells of the requests to sessions: the method and the Content-Range."""

    google: Google
    server: Server
    bucket: Bucket

    @property
    def objects(self) -> dict[str, bytes]:
        """What lies there."""
        return self.google.objects["demo-bucket"]

    @property
    def sent(self) -> list[tuple[str, str | None]]:
        """The requests since they were last forgotten."""
        known = [request for request in self.server.requests if "upload_id=" in request.path]
        return [(request.method, request.headers.get("content-range")) for request in known]

    def sent_ranges(self) -> list[str]:
        """The Content-Ranges alone, without their unit and their total."""
        return [span[6:].partition("/")[0] for _, span in self.sent if span]


@asynccontextmanager
async def opened_place(bucket: str = "demo-bucket") -> AsyncIterator[Place]:
    """Yield the bucket, open."""
    google = Google()
    google.create_bucket("demo-bucket")
    account = google.service_account(EMAIL)
    fields = COMMON | {"type": "gcs", "gcs_service_account_json": account, "gcs_bucket_name": bucket}
    async with (
        google.serving() as server,
        opened(gcs.PROVIDER, fields, loopback(gcs=server.url), parts=PARTS) as opened_bucket,
    ):
        yield Place(google, server, opened_bucket)


def nth(number: int, fault: Fault, *, method: str = "PUT") -> Fault:
    """Spoil only one of the requests to sessions with that method, counted from 1."""
    seen = 0

    def answer(request: Request, responder: Responder) -> Answer:
        nonlocal seen
        seen += request.method == method and "upload_id=" in request.path
        hit = request.method == method and "upload_id=" in request.path and seen == number
        return fault(request, responder) if hit else responder(request)

    return answer


def first_of(*given: Fault) -> Fault:
    """Spoil the first requests to sessions, each in its way."""
    left = list(given)

    def answer(request: Request, responder: Responder) -> Answer:
        return left.pop(0)(request, responder) if left and "upload_id=" in request.path else responder(request)

    return answer


async def broken_off(place: Place, *, after: int = 2) -> Checkpoint:
    """Return the checkpoint of an upload that ended with a fault at the piece after so many."""
    checkpoint = Checkpoint()
    place.google.storage_fault = nth(after + 1, faults.always(failure(403, "forbidden", "No.")))
    with pytest.raises(ProviderFailure):
        await place.bucket.put("large", BODY, checkpoint)
    place.google.storage_fault = None
    place.server.requests.clear()
    return checkpoint
