"""Result sets and deliveries as they are answered."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from consignee.delivery import delivery as states
from consignee.delivery.delivery import Delivery, Progress
from consignee.delivery.result_set import ResultSet
from consignee.queue import Job


def result_set_view(
    result_set: ResultSet,
    jobs: Mapping[str, Job],
    progress: Callable[[Job], Progress | None],
    *,
    public_url: str = "",
    webhook_status: Mapping[str, Any] | None = None,
    files: bool = True,
) -> dict[str, Any]:
    """Return a result set with the status of its delivery to each destination, and what `files` it has if wanted."""
    base = f"{public_url.rstrip('/')}/collections/{result_set.collection_id}/results/{result_set.number}/files"
    named = [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in result_set.files if files]
    return {
        "id": result_set.number,
        "started_at": result_set.started_at,
        "ended_at": result_set.ended_at,
        "expires_at": result_set.expires_at,
        **({"files": named} if files else {}),
        "download_links": {"pages": [f"{base}/{quote(one.name, safe='')}" for one in result_set.files]},
        **status_view(jobs, progress, webhook_status),
    }


def status_view(
    jobs: Mapping[str, Job], progress: Callable[[Job], Progress | None], webhook_status: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the part of a result set's view that changes."""
    return {
        "destination_status": {
            destination_id: states.status_of(job, progress(job)) for destination_id, job in jobs.items()
        },
        "webhook_status": webhook_status,
    }


def delivery_view(job: Job, progress: Progress | None = None, *, uploads: bool = False) -> dict[str, Any]:
    """Return a delivery; with `uploads`, also each single upload of a file, oldest first."""
    delivery = Delivery.of(job)
    view = {
        "id": job.id,
        "collection_id": delivery.collection_id,
        "result_set_id": delivery.number,
        "destination_id": delivery.destination_id,
        "created_at": delivery.created_at,
        "ended_at": delivery.ended_at,
        **states.status_of(job, progress),
    }
    return {**view, "uploads": list(delivery.uploads)} if uploads else view
