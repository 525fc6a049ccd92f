"""What is answered, as JSON Schema. More members may come with time: nothing here forbids others."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consignee.delivery.delivery import STATUSES
from consignee.providers.base import Provider

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
COUNT: Final[Shape] = {"type": "integer", "minimum": 0}
TRUE_OR_FALSE: Final[Shape] = {"type": "boolean"}
TIME: Final[Shape] = {"type": "string", "format": "date-time"}
ID: Final[Shape] = {"type": "string", "pattern": "^[0-9A-F]{8}$"}
MAYBE_TEXT: Final[Shape] = {"type": ["string", "null"]}
MAYBE_TIME: Final[Shape] = {"type": ["string", "null"], "format": "date-time"}


def ref(name: str) -> Shape:
    """Return a reference to one of the named schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def every(items: Shape) -> Shape:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def having(members: Mapping[str, Shape], *, maybe: Iterable[str] = ()) -> Shape:
    """Return the schema of an object that has all these members, but `maybe` not those."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": [one for one in members if one not in set(maybe)],
    }


def or_null(shape: Shape) -> Shape:
    """Return the schema of what may also be null."""
    return {"anyOf": [shape, {"type": "null"}]}


_LOG: Final = every(having({"date_time": TIME, "text": TEXT}))
_STATUS: Final[Mapping[str, Shape]] = {
    "status": {"enum": list(STATUSES)},
    "log": _LOG,
    "files_total": COUNT,
    "files_done": COUNT,
    "bytes_done": COUNT,
    "attempts": COUNT,
    "next_attempt_at": MAYBE_TIME,
    "code": MAYBE_TEXT,
}
_DELIVERY: Final[Mapping[str, Shape]] = {
    "id": TEXT,
    "collection_id": ID,
    "result_set_id": {"type": "integer", "minimum": 1},
    "destination_id": ID,
    "created_at": TIME,
    "ended_at": MAYBE_TIME,
    **_STATUS,
}
_UPLOAD: Final = having(
    {
        "attempt": COUNT,
        "at": TIME,
        "key": TEXT,
        "bytes": COUNT,
        "ms": {"type": "number", "minimum": 0},
        "ok": TRUE_OR_FALSE,
        "code": MAYBE_TEXT,
        "provider_code": MAYBE_TEXT,
        "provider_request_id": MAYBE_TEXT,
    }
)
_DESTINATION: Final[Mapping[str, Shape]] = {
    "id": ID,
    "name": TEXT,
    "type": TEXT,
    "enabled": TRUE_OR_FALSE,
    "used_by": COUNT,
    "secrets_set": every(TEXT),
    "created_at": TIME,
    "updated_at": TIME,
    "last_test": or_null(having({"ok": TRUE_OR_FALSE, "at": TIME, "connectivity": ref("Connectivity")})),
    "deliveries": ref("Condition"),
}
_RESULT_SET: Final[Mapping[str, Shape]] = {
    "id": {"type": "integer", "minimum": 1},
    "started_at": TIME,
    "ended_at": TIME,
    "expires_at": TIME,
    "download_links": having({"pages": every(TEXT)}),
    "destination_status": {"type": "object", "additionalProperties": ref("DeliveryStatus")},
    "webhook_status": or_null(ref("WebhookStatus")),
}

SHAPES: Final[Mapping[str, Shape]] = {
    "Succeeded": having({"success": {"const": True}, "message": TEXT}, maybe=["message"]),
    "Failed": having(
        {"success": {"const": False}, "code": TEXT, "message": TEXT, "trace_id": TEXT},
        maybe=["trace_id"],
    ),
    "Errors": {"type": "object", "additionalProperties": every(TEXT)},
    "Usage": having({"used": COUNT, "limit": COUNT, "available": COUNT}),
    "Pagination": having(
        {
            "current_page": COUNT,
            "page_size": COUNT,
            "count_this_page": COUNT,
            "total_count": COUNT,
            "total_pages": COUNT,
        }
    ),
    "Connectivity": having(
        {"ok": TRUE_OR_FALSE, "steps": every(ref("Step")), "left_behind": MAYBE_TEXT},
    ),
    "Step": having(
        {
            "step": {"enum": ["resolve", "connect", "upload", "delete"]},
            "ok": TRUE_OR_FALSE,
            "ms": {"type": "number", "minimum": 0},
            "code": MAYBE_TEXT,
            "provider_code": MAYBE_TEXT,
            "provider_request_id": MAYBE_TEXT,
            "hint": MAYBE_TEXT,
        }
    ),
    "Verified": having({"id": ID, "ok": TRUE_OR_FALSE, "connectivity": ref("Connectivity")}),
    "Condition": having(
        {
            "state": {"enum": ["ok", "failing", "needs_attention"]},
            "failures": COUNT,
            "failing_since": MAYBE_TIME,
            "next_probe_at": MAYBE_TIME,
            "attention": or_null(having({"code": TEXT, "message": TEXT, "hint": TEXT, "at": TIME})),
            "log": _LOG,
        }
    ),
    "Collection": having(
        {
            "id": ID,
            "name": TEXT,
            "destination_ids": every(ID),
            "notification_webhook": MAYBE_TEXT,
            "notification_webhook_secret": {"type": "string", "description": "once, when it was just made"},
            "manifest": TRUE_OR_FALSE,
            "secrets_set": every(TEXT),
            "created_at": TIME,
            "updated_at": TIME,
            "results_count": COUNT,
            "next_result_set_id": COUNT,
        },
        maybe=["notification_webhook_secret"],
    ),
    "File": having({"name": TEXT, "size": COUNT, "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}),
    "ListedResultSet": having(_RESULT_SET),
    "ResultSet": having({**_RESULT_SET, "files": every(ref("File"))}),
    "DeliveryStatus": having(_STATUS),
    "WebhookStatus": having({name: _STATUS[name] for name in ("status", "log", "attempts", "next_attempt_at", "code")}),
    "ListedDelivery": having(_DELIVERY),
    "Delivery": having({**_DELIVERY, "uploads": every(_UPLOAD)}),
    "DestinationType": having(
        {
            "type": TEXT,
            "label": TEXT,
            "fields": every(
                having(
                    {
                        "name": TEXT,
                        "label": TEXT,
                        "required": TRUE_OR_FALSE,
                        "secret": TRUE_OR_FALSE,
                        "help": TEXT,
                        "choices": every(having({"value": TEXT, "label": TEXT})),
                        "multiline": TRUE_OR_FALSE,
                        "unless": MAYBE_TEXT,
                    }
                )
            ),
        }
    ),
}


def destination(provider: Provider) -> Shape:
    """Return the schema of a destination of one type as it is answered: its own fields, none of them secret."""
    own = dict.fromkeys(provider.fields().setting_names, MAYBE_TEXT)
    return having({**_DESTINATION, "type": {"const": provider.type}, **own}) | {"title": provider.label}
