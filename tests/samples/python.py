"""A client with requests: python python.py form|json. Each answer becomes a line of JSON."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import requests

JSON = sys.argv[1] == "json"
FIELDS = {
    "name": "Zoë & Söhne + 100 %",
    "enabled": True if JSON else "true",
    "type": "s3compatible",
    "s3_endpoint": os.environ["S3_ENDPOINT"],
    "s3_access_key_id": os.environ["S3_ACCESS_KEY_ID"],
    "s3_secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
    "s3_bucket_name": os.environ["S3_BUCKET"],
    "s3_path_prefix": "exports/%COLLECTION_NAME%/%DATE%",
}


def call(
    name: str, method: str, path: str, fields: Mapping[str, Any] | None = None, *, key: str = os.environ["API_KEY"]
) -> Any:
    """Send a request, print the answer and return its body."""
    body: dict[str, Any] = {"json": fields} if JSON else {"data": fields}
    url = os.environ["API_URL"] + path
    response = requests.request(method, url, params={"api_key": key}, timeout=60, **(body if fields else {}))
    answer = {"call": name, "status": response.status_code, "trace_id": response.headers.get("X-Trace-ID")}
    print(json.dumps({**answer, "body": response.json()}))  # noqa: T201
    return response.json()


here = f"/destinations/{call('create', 'POST', '/destinations', FIELDS)['destination']['id']}"
call("list", "GET", "/destinations")
call("rename", "PUT", here, {"name": "Größe = 日本"})
call("disable", "PUT", here, {"enabled": False if JSON else "false"})
call("enable", "PUT", here, {"enabled": True if JSON else "true"})
call("wrong-secret", "PUT", here, {"s3_secret_access_key": "wrong"})
call("unchanged", "GET", "/destinations")
call("delete", "DELETE", here)
call("delete-again", "DELETE", here)
call("unknown-key", "GET", "/destinations", key="unknown")
