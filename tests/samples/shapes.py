"""The answers that client code exists for, written out; words in capitals stand for what differs from run to run."""

import json
import re
from typing import Any

OK = {"success": True}
USAGE = {"used": 1, "limit": 50, "available": 49}
STEP = {"ok": True, "ms": "MS", "code": None, "provider_code": None, "provider_request_id": None, "hint": None}
TESTED = {
    "ok": True,
    "at": "TIME",
    "connectivity": {
        "ok": True,
        "steps": [{"step": "upload", **STEP}, {"step": "delete", **STEP}],
        "left_behind": None,
    },
}
WELL = {
    "state": "ok",
    "failures": 0,
    "failing_since": None,
    "next_probe_at": None,
    "attention": None,
    "log": [],
}
FAILED_STEP = {
    "step": "upload",
    "ok": False,
    "ms": "MS",
    "code": "credentials_rejected",
    "provider_code": "SignatureDoesNotMatch",
    "provider_request_id": "REQUEST",
    "hint": "SENTENCE",
}
REFUSED = {
    "request_info": {"success": False, "code": "credentials_rejected", "message": "SENTENCE"},
    "connectivity_problem": True,
    "connectivity": {"ok": False, "steps": [FAILED_STEP], "left_behind": None},
}
PAGE = {"current_page": 1, "page_size": 10, "count_this_page": 1, "total_count": 1, "total_pages": 1}
DELETED = {"request_info": {"success": True, "message": "1 Destination deleted"}}
FORMATS = {
    "ID": r"[0-9A-F]{8}",
    "TIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "SENTENCE": r"[A-Z][^\n]{10,300}\.",
    "REQUEST": r"[\w-]+",
}
VARYING = {
    "id": "ID",
    "created_at": "TIME",
    "updated_at": "TIME",
    "at": "TIME",
    "message": "SENTENCE",
    "hint": "SENTENCE",
    "provider_request_id": "REQUEST",
}


def expected(*, endpoint: str, bucket: str) -> dict[str, Any]:
    """Return what a sample client must be answered, by the name of the call."""
    made = _destination(endpoint, bucket)
    renamed = {**made, "name": "Größe = 日本"}
    disabled = {**renamed, "enabled": False}
    return {
        "create": _answer(200, usage=USAGE, destination=made),
        "list": _answer(200, usage=USAGE, destinations=[made], pagination=PAGE),
        "rename": _answer(200, usage=USAGE, destination=renamed),
        "disable": _answer(200, usage=USAGE, destination=disabled),
        "enable": _answer(200, usage=USAGE, destination=renamed),
        "wrong-secret": {"status": 400, "body": REFUSED},
        "unchanged": _answer(200, usage=USAGE, destinations=[renamed], pagination=PAGE),
        "delete": {"status": 200, "body": DELETED},
        "delete-again": _failure(404, "not_found"),
        "unknown-key": _failure(401, "unauthorized"),
    }


def _answer(status: int, **content: Any) -> dict[str, Any]:
    return {"status": status, "body": {"request_info": OK, **content}}


def _failure(status: int, code: str) -> dict[str, Any]:
    return {"status": status, "body": {"request_info": {"success": False, "code": code, "message": "SENTENCE"}}}


def _destination(endpoint: str, bucket: str) -> dict[str, Any]:
    return {
        "id": "ID",
        "name": "Zoë & Söhne + 100 %",
        "type": "s3compatible",
        "enabled": True,
        "used_by": 0,
        "s3_endpoint": endpoint,
        "s3_bucket_name": bucket,
        "s3_path_prefix": "exports/%COLLECTION_NAME%/%DATE%",
        "s3_region": None,
        "s3_addressing_style": None,
        "secrets_set": ["s3_access_key_id", "s3_secret_access_key"],
        "created_at": "TIME",
        "updated_at": "TIME",
        "last_test": TESTED,
        "deliveries": WELL,
    }


def settled(value: Any, name: str = "") -> Any:
    """Return an answer in which what varies from run to run is replaced by its kind, where it is well formed."""
    if isinstance(value, dict):
        return {key: settled(one, key) for key, one in value.items()}
    if isinstance(value, list):
        # Whether a test had to connect first depends on the test before.
        return [settled(one) for one in value if not (isinstance(one, dict) and one.get("step") == "connect")]
    if name == "ms" and type(value) is int:
        return "MS"
    kind = VARYING.get(name)
    return kind if kind and isinstance(value, str) and re.fullmatch(FORMATS[kind], value) else value


def as_text(value: Any) -> str:
    """Return JSON to compare, as Python holds 1 and True to be equal."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)
