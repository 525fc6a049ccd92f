"""What each route takes and answers; the routes themselves stand in `web/routes.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marshmallow import Schema

from consignee.web.bodies import JSON
from consignee.web.idempotency import HEADER
from consignee.web.openapi.fields import ids
from consignee.web.openapi.shapes import COUNT, ID, TEXT, Shape, every, having, ref
from consignee.web.queries import DeliveriesSchema, ListingSchema, PageSchema

NDJSON: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
METRICS: Final = ("text/plain", "application/openmetrics-text")
BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route. `answers` are the members beside `request_info`, `others` what it may answer that is no such JSON."""

    summary: str
    answers: Mapping[str, Shape] = field(default_factory=dict)
    others: Mapping[str, Shape] = field(default_factory=dict)
    body: Shape | None = None
    required: bool = True
    """Whether there must be a body; without one, it is as if it were empty."""
    query: type[Schema] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the request, with what they do."""
    codes: tuple[str, ...] = ()
    """Of failures, beside those that follow from all the rest."""
    tests: bool = False
    """Whether it makes a connectivity test, which may fail."""
    public: bool = False
    """Whether it needs no API key."""
    files: bool = False
    """Whether it takes files, or answers one."""


_DESTINATION: Final = {"usage": ref("Usage"), "destination": ref("Destination")}
_COLLECTION: Final = {"collection": ref("Collection")}
_RESULT_SET: Final = {"collection_id": ID, "result": ref("ResultSet")}
_PAGES: Final = dict.fromkeys(("total_count", "total_pages", "current_page", "count_this_page"), COUNT)
_SOME: Final = having({"destination_ids": ids("all of them, if left out")}, maybe=["destination_ids"])
_DELIVERY_ID: Final = {"type": "string", "pattern": r"^[0-9A-F]{8}\.[0-9]{10}\.[0-9A-F]{8}$"}
_NOTHING: Final = having({})
_ONCE: Final = {HEADER: "a request that is repeated with it is carried out once"}
_AGAIN: Final = ("conflict", "idempotency_key_reused")
_BY_STEPS: Final = {"Accept": f"with {NDJSON}, a line for each step as it begins, and one with the report"}
_CREATE: Final = Operation(
    summary="Create a destination; one that is enabled is tested first",
    body=ref("NewDestination"),
    answers=_DESTINATION,
    headers=_ONCE,
    codes=("limit_reached", *_AGAIN),
    tests=True,
)
_DOWNLOAD: Final = Operation(
    summary="A file of a result set",
    others={BYTES: {}},
    files=True,
    headers={"Range": "one range of bytes", "If-Range": "the ETag that the range is of"},
)
_HEALTHZ: Final = Operation(summary="Whether the process is alive", public=True)
_READYZ: Final = Operation(summary="Whether the service can do its work", public=True)

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/destinations"): _CREATE,
    ("POST", "/destination"): _CREATE,
    ("GET", "/destinations"): Operation(
        summary="The destinations",
        query=ListingSchema,
        answers={
            "usage": ref("Usage"),
            "destinations": every(ref("Destination")),
            "pagination": ref("Pagination"),
        },
    ),
    ("POST", "/destinations/test"): Operation(
        summary="Test a destination that is not saved",
        body=ref("NewDestination"),
        answers={"connectivity": ref("Connectivity")},
        others={NDJSON: {}},
        headers=_BY_STEPS,
        tests=True,
    ),
    ("POST", "/destinations/verify"): Operation(
        summary="Test many saved destinations at once",
        body=having({"ids": ids("all of the account, if left out")}, maybe=["ids"]),
        required=False,
        answers={"results": every(ref("Verified"))},
        others={NDJSON: {}},
        headers={"Accept": f"with {NDJSON}, a line for each as its test ends"},
        codes=("not_found",),
    ),
    ("POST", "/destinations/policy"): Operation(
        summary="The smallest policy that a destination with these fields would need; name and secrets do not matter",
        body=ref("DestinationChanges"),
        answers={"policy": {"type": "object"}},
        codes=("not_found",),
    ),
    ("GET", "/destinations/{id}"): Operation(summary="A destination", answers=_DESTINATION),
    ("PUT", "/destinations/{id}"): Operation(
        summary="Change what is given of a destination",
        body=ref("DestinationChanges"),
        answers=_DESTINATION,
        codes=("conflict",),
        tests=True,
    ),
    ("DELETE", "/destinations/{id}"): Operation(
        summary="Remove a destination, and cancel its deliveries", codes=("conflict",)
    ),
    ("POST", "/destinations/{id}/test"): Operation(
        summary="Test a saved destination, or what certain changes would make of it",
        body=ref("DestinationChanges"),
        required=False,
        answers={"connectivity": ref("Connectivity")},
        others={NDJSON: {}},
        headers=_BY_STEPS,
        tests=True,
    ),
    ("POST", "/destinations/{id}/resend"): Operation(
        summary="Repeat what failed or was skipped at a destination",
        body=having({"since": {"type": ["string", "null"], "description": "ISO 8601"}}, maybe=["since"]),
        required=False,
        answers={"resent": COUNT},
    ),
    ("GET", "/destinations/{id}/policy"): Operation(
        summary="The smallest policy that lets a destination work", answers={"policy": {"type": "object"}}
    ),
    ("POST", "/collections"): Operation(
        summary="Create a collection",
        body=ref("NewCollection"),
        answers=_COLLECTION,
        headers=_ONCE,
        codes=("limit_reached", *_AGAIN),
    ),
    ("GET", "/collections"): Operation(
        summary="The collections", query=PageSchema, answers={**_PAGES, "collections": every(ref("Collection"))}
    ),
    ("GET", "/collections/{id}"): Operation(summary="A collection", answers=_COLLECTION),
    ("PUT", "/collections/{id}"): Operation(
        summary="Change what is given of a collection",
        body=ref("CollectionChanges"),
        answers=_COLLECTION,
        codes=("conflict",),
    ),
    ("DELETE", "/collections/{id}"): Operation(summary="Remove a collection with its result sets", codes=("conflict",)),
    ("POST", "/collections/{id}/results"): Operation(
        summary="Hand over a result set",
        body=ref("Files"),
        answers=_RESULT_SET,
        headers=_ONCE,
        codes=_AGAIN,
        files=True,
    ),
    ("GET", "/collections/{id}/results"): Operation(
        summary="The result sets of a collection, newest first",
        query=PageSchema,
        answers={"collection_id": ID, "results_count": COUNT, "results": every(ref("ListedResultSet"))},
    ),
    ("GET", "/collections/{id}/results/{n}"): Operation(summary="A result set", answers=_RESULT_SET),
    ("POST", "/collections/{id}/results/{n}/resend"): Operation(
        summary="Deliver a result set again", body=_SOME, required=False, answers=_RESULT_SET
    ),
    ("POST", "/collections/{id}/results/{n}/webhook/resend"): Operation(
        summary="Send the message about a result set again", body=_NOTHING, required=False, answers=_RESULT_SET
    ),
    ("GET", "/collections/{id}/results/{n}/events"): Operation(
        summary="How the deliveries of a result set go, as it happens", others={EVENTS: {}}
    ),
    ("GET", "/collections/{id}/results/{n}/files/{name}"): _DOWNLOAD,
    ("HEAD", "/collections/{id}/results/{n}/files/{name}"): _DOWNLOAD,
    ("GET", "/deliveries"): Operation(
        summary="Deliveries, newest first",
        query=DeliveriesSchema,
        answers={"deliveries": every(ref("ListedDelivery")), "next_cursor": {"type": ["string", "null"]}},
    ),
    ("GET", "/deliveries/{id}"): Operation(
        summary="A delivery, with its uploads", answers={"delivery": ref("Delivery")}
    ),
    ("GET", "/destination-types"): Operation(
        summary="The types of destinations, with their fields",
        answers={"destination_types": every(ref("DestinationType"))},
    ),
    ("GET", "/account"): Operation(
        summary="How much is used and may be",
        answers={
            "account_info": having(
                {
                    f"{kind}_{what}": COUNT
                    for kind in ("destinations", "collections")
                    for what in ("used", "limit", "available")
                }
            )
        },
    ),
    ("GET", "/openapi.json"): Operation(
        summary="This document", others={JSON: {"type": "object", "required": ["openapi"]}}, public=True
    ),
    ("GET", "/healthz"): _HEALTHZ,
    ("HEAD", "/healthz"): _HEALTHZ,
    ("GET", "/readyz"): _READYZ,
    ("HEAD", "/readyz"): _READYZ,
    ("GET", "/metrics"): Operation(
        summary="What is counted and measured, for Prometheus; with a token of its own",
        others=dict.fromkeys(METRICS, TEXT),
        codes=("unauthorized", "not_found", "rate_limited"),
        public=True,
    ),
    ("POST", "/console/login"): Operation(
        summary="Exchange the token of a link to the console, which is good once, for a key that is good for a while",
        body=having({"token": TEXT}),
        answers={"key": TEXT, "expires_in": COUNT},
        codes=("unauthorized", "rate_limited"),
        public=True,
    ),
}


def codes_of(method: str, path: str, operation: Operation) -> list[str]:
    """Return the codes with which a request may fail, other than those of a connectivity test."""
    codes = ["invalid_request", "internal_error", "unavailable", *operation.codes]
    if not operation.public:
        codes += ["unauthorized", "rate_limited"]
    if "{" in path:
        codes.append("not_found")
    if operation.body is not None:
        codes += ["request_timeout", "payload_too_large", "unsupported_media_type"]
        codes += [] if operation.files else ["invalid_json"]
    return codes


def parameters_in(path: str) -> list[dict[str, Any]]:
    """Return the parameters that a path holds."""
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    of_delivery = path.startswith("/deliveries")
    shapes = {"id": _DELIVERY_ID if of_delivery else ID, "n": {"type": "integer", "minimum": 1}, "name": TEXT}
    return [{"name": name, "in": "path", "required": True, "schema": shapes[name]} for name in names]
