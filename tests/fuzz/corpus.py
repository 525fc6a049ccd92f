"""Requests that are good, and such as a bad client sends: what the mutations begin with."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from .target import FILE, KEY, NOWHERE, OTHERS, Known, destination

TAIL: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
"""The end of each connection: after whatever came before, an answer to it or a closed connection."""
BOUNDARY: Final = "0123456789"
_JSON: Final = "Content-Type: application/json"
_FORM: Final = "Content-Type: application/x-www-form-urlencoded"
_FILES: Final = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
_CHUNKED: Final = "Transfer-Encoding: chunked"
_NOBODY: Final = "00000000"


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    """Return a request with an API key; with its length, unless the headers say that it is chunked."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"X-API-Key: {KEY}", *headers]
    if body is not None and _CHUNKED not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def corpus(found: Known) -> list[bytes]:
    """Return the requests, about what is there and what is not."""
    return [*_readings(found), *_writings(found), *_bodies(found), *_oddities()]


def _readings(found: Known) -> list[bytes]:
    result = f"/collections/{found.collection}/results/1"
    paths = [
        "/destinations?page=1&page_size=20&sort_by=name&sort_direction=descending&search_term=%C3%A4&enabled=true",
        f"/destinations/{found.destination}",
        f"/destinations/{found.destination}/policy",
        "/collections?page=1&page_size=100",
        f"/collections/{found.collection}",
        f"/collections/{found.collection}/results?page=1",
        result,
        f"{result}/events",
        f"{result}/files/{FILE}",
        f"/deliveries?status=success&page_size=1&collection_id={found.collection}&cursor=WyIiLCIiXQ==",
        f"/deliveries/{found.delivery}",
        *("/destination-types", "/account", "/healthz", "/readyz"),
    ]
    ranged = request("GET", f"{result}/files/{FILE}", "Range: bytes=10-19", 'If-Range: "x"')
    return [*(request("GET", path) for path in paths), ranged, request("HEAD", f"{result}/files/{FILE}")]


def _writings(found: Known) -> list[bytes]:
    collection = {"name": "Figures", "destination_ids": [found.destination], "manifest": True}
    azure = {"type": "azure", "name": "A", "enabled": False, "azure_account_name": "account"}
    calls: list[tuple[str, str, Mapping[str, Any]]] = [
        ("POST", "/destinations", destination()),
        ("POST", "/destination", destination(type="s3compatible", s3_endpoint=NOWHERE)),
        ("POST", "/destinations", azure | {"azure_account_key": "a2V5", "azure_container_name": "c-1"}),
        ("POST", "/destinations/test", destination()),
        *(("POST", "/destinations/test", {"name": "B", "enabled": True, **fields}) for fields in OTHERS),
        ("POST", "/destinations/verify", {"ids": [found.destination, _NOBODY]}),
        ("PUT", f"/destinations/{found.destination}", {"name": "Renamed"}),
        ("POST", f"/destinations/{found.destination}/resend", {"since": "2026-01-01T00:00:00Z"}),
        ("POST", "/collections", collection),
        ("PUT", f"/collections/{found.collection}", {"notification_webhook": NOWHERE}),
        ("POST", f"/collections/{found.collection}/results/1/resend", {"destination_ids": [found.destination]}),
        ("POST", f"/collections/{found.collection}/results/1/webhook/resend", {}),
    ]
    idempotent = f"Idempotency-Key: {found.collection}"
    return [
        *(request(method, path, _JSON, body=json.dumps(fields).encode()) for method, path, fields in calls),
        *(request(method, path, _FORM, body=urlencode(_flat(fields)).encode()) for method, path, fields in calls),
        request("POST", "/collections", _JSON, idempotent, body=json.dumps(collection).encode()),
        request("POST", f"/destinations/{found.destination}/test"),
        request("DELETE", f"/destinations/{_NOBODY}"),
        request("DELETE", f"/collections/{_NOBODY}"),
    ]


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ",".join(value) if isinstance(value, list) else value for name, value in fields.items()}


def _bodies(found: Known) -> list[bytes]:
    path = f"/collections/{found.collection}/results"
    chunk = b'{"name": "x"}'
    return [
        request("POST", path, _FILES, body=_multipart()),
        request("POST", path, _FILES, "Expect: 100-continue", body=_multipart()),
        request("POST", path, _FILES, _CHUNKED, body=_chunks(_multipart(), 50)),
        request("POST", "/destinations", _JSON, _CHUNKED, body=_chunks(chunk, 5)),
        request("POST", "/destinations", _JSON, _CHUNKED, body=b"ffffffffffffffff\r\n" + chunk),
        request("POST", "/destinations", _JSON, _CHUNKED, body=b"5;a=b\r\n12345\r\n0\r\nTrailer: x\r\n\r\n"),
        request("POST", "/destinations", _JSON, "Content-Encoding: gzip", body=b"\x1f\x8b\x08"),
        request("POST", "/destinations", _JSON, body=b"[" * 5000),
        request("POST", "/destinations", _JSON, body=b'{"a":' * 40 + b"1" + b"}" * 40),
        request("POST", "/destinations", _JSON, body=b'{"name": ' + b"9" * 5000 + b', "type": 1e999}'),
        request("POST", "/destinations", _JSON, body=b'{"name": "\\ud800", "type": "s3\x00"}'),
        request("POST", "/destinations", _FORM, body=b"name=%ff%fe&name[]=%00&enabled=2&type=" + b"x" * 5000),
    ]


def _oddities() -> list[bytes]:
    return [
        request("OPTIONS", "*"),
        request("TRACE", "/"),
        request("GET", "http://127.0.0.1/account?api_key=%66uzz", "Authorization: Bearer fuzz"),
        request("GET", "/account", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
        request("GET", "/account", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        request("GET", "/../..//%2e%2e/%2fetc/passwd%00;x?%zz&&=&page=1e9#f"),
        request("GET", "/account", *(f"X-{number}: y" for number in range(60))),
        request("GET", "/account", "Cookie: " + "a=b; " * 1000),
        b"GET /account?api_key=fuzz HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]


def _multipart() -> bytes:
    parts = [
        f'Content-Disposition: form-data; name="file"; filename="{FILE}"\r\nContent-Type: text/csv\r\n\r\n1,2,3\r\n',
        "Content-Disposition: form-data; name=x; filename*=UTF-8''%C3%A4.txt\r\n\r\n",
        'Content-Disposition: form-data; name="started_at"\r\n\r\n2026-01-31T12:00:00Z',
    ]
    text = "".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts) + f"--{BOUNDARY}--\r\n"
    return text.encode()


def _chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)] + [b""]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
