"""The same API as a user would write it with FastAPI: pydantic checks the fields, uvicorn serves with uvloop and httptools.

python api_fastapi.py PORT DIRECTORY [access]; API keys are the names of accounts with "-key" behind them. What is saved is in
memory and in a log, where all who wait share one fdatasync; secrets are sealed in both. It does less than consignee: there are
no places and rates for accounts, no limits for heads and bodies, no conflicts, no conditions and uses to look up.
"""

import asyncio
import base64
import hashlib
import os
import re
import secrets
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyQuery
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

LIMIT = 1_000_000
ACCOUNTS = {hashlib.sha256(f"{name}-key".encode()).digest(): name for name in ("ten", "hundred", "writer")}
SECRETS = {"s3_access_key_id", "s3_secret_access_key"}
CIPHER = AESGCM(AESGCM.generate_key(256))
TOKENS = {"COLLECTION_ID", "COLLECTION_NAME", "RESULT_SET_ID", "DATE"}


def _sealed(fields: dict[str, Any]) -> dict[str, Any]:
    for name in SECRETS & fields.keys():
        nonce = os.urandom(12)
        sealed = nonce + CIPHER.encrypt(nonce, fields[name].encode(), name.encode())
        fields[name] = base64.b64encode(sealed).decode()
    return fields


def _prefix(value: str) -> str:
    if any(part in (".", "..") for part in value.split("/")) or set(re.findall("%([A-Z_]+)%", value)) - TOKENS:
        raise ValueError("not a path prefix")
    return value


def _printable(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
        raise ValueError("must not contain control characters")
    return value


Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
KeyId = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-+\--.0-~]+$")]
Key = Annotated[Text, StringConstraints(min_length=1, max_length=1024)]
Bucket = Annotated[
    str,
    StringConstraints(
        min_length=3, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
    ),
]
Prefix = Annotated[Text, StringConstraints(max_length=1024), AfterValidator(_prefix)]


class Fields(BaseModel):
    """What a customer sends."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["s3"]
    name: Name
    enabled: bool
    s3_access_key_id: KeyId
    s3_secret_access_key: Key
    s3_bucket_name: Bucket
    s3_path_prefix: Prefix | None = None

    def sealed(self) -> dict[str, Any]:
        """Return the fields as they are kept."""
        return _sealed(self.model_dump())


class Changes(BaseModel):
    """The same, of which any may be left out."""

    model_config = ConfigDict(extra="ignore")

    name: Name | None = None
    enabled: bool | None = None
    s3_access_key_id: KeyId | None = None
    s3_secret_access_key: Key | None = None
    s3_bucket_name: Bucket | None = None
    s3_path_prefix: Prefix | None = None

    def sealed(self) -> dict[str, Any]:
        """Return the fields that are given as they are kept."""
        return _sealed(self.model_dump(exclude_none=True))


class Stored(BaseModel):
    """What is saved."""

    id: str
    type: str
    name: str
    enabled: bool
    s3_access_key_id: str
    s3_secret_access_key: str
    s3_bucket_name: str
    s3_path_prefix: str | None
    created_at: str
    updated_at: str


class Condition(BaseModel):
    """How deliveries go."""

    state: str = "ok"
    failures: int = 0
    failing_since: str | None = None
    next_probe_at: str | None = None
    attention: dict[str, str] | None = None
    log: list[dict[str, str]] = []


class Shown(BaseModel):
    """What is answered: no secret."""

    id: str
    name: str
    type: str
    enabled: bool
    used_by: int = 0
    s3_bucket_name: str
    s3_path_prefix: str | None
    secrets_set: list[str] = ["s3_access_key_id", "s3_secret_access_key"]
    created_at: str
    updated_at: str
    last_test: dict[str, Any] | None = None
    deliveries: Condition = Condition()


class Info(BaseModel):
    """Whether it went well."""

    success: bool = True


class Usage(BaseModel):
    """How many there are."""

    used: int
    limit: int = LIMIT
    available: int


class Pagination(BaseModel):
    """Which page it is."""

    current_page: int
    page_size: int
    count_this_page: int
    total_count: int
    total_pages: int


class One(BaseModel):
    """The answer about one."""

    request_info: Info = Info()
    usage: Usage
    destination: Shown


class Many(BaseModel):
    """The answer about many."""

    request_info: Info = Info()
    usage: Usage
    destinations: list[Shown]
    pagination: Pagination


class Log:
    """Lines on the disk; all who wait share one fdatasync."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def append(self, line: str) -> None:
        """Return when it is durable."""
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append((line.encode() + b"\n", durable))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        await durable

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await asyncio.to_thread(self._write, b"".join(line for line, _ in group))
            for _, durable in group:
                durable.set_result(None)
        self._task = None

    def _write(self, lines: bytes) -> None:
        os.write(self._file, lines)
        os.fdatasync(self._file)


app = FastAPI()
saved: dict[str, dict[str, Stored]] = defaultdict(dict)
log = Log(Path(sys.argv[2]) / f"log-{sys.argv[1]}")


async def account_of(response: Response, api_key: Annotated[str | None, Depends(APIKeyQuery(name="api_key"))]) -> str:
    """Return whose the key is; every answer has these headers."""
    response.headers["X-Trace-ID"] = secrets.token_hex(16)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    account = ACCOUNTS.get(hashlib.sha256((api_key or "").encode()).digest())
    if account is None:
        raise HTTPException(401)
    return account


Account = Annotated[str, Depends(account_of)]


@app.exception_handler(RequestValidationError)
async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer 400, as consignee does."""
    errors = {str(one["loc"][-1]): [one["msg"]] for one in error.errors()}
    return JSONResponse({"request_info": {"success": False, "code": "invalid_request"}, "errors": errors}, 400)


@app.post("/destinations")
async def create(account: Account, fields: Fields) -> One:
    """Save a new one."""
    now = _now()
    made = Stored(**fields.sealed(), id=secrets.token_hex(4).upper(), created_at=now, updated_at=now)
    return await _save(account, made)


@app.get("/destinations/{id}")
async def get(account: Account, id: str) -> One:  # noqa: A002
    """Answer one."""
    return _one(account, _found(account, id))


@app.put("/destinations/{id}")
async def update(account: Account, id: str, changes: Changes) -> One:  # noqa: A002
    """Change what is given."""
    changed = {**changes.sealed(), "updated_at": _now()}
    return await _save(account, _found(account, id).model_copy(update=changed))


@app.get("/destinations")
async def list_all(
    account: Account,
    search_term: str = "",
    enabled: bool | None = None,
    type: str | None = None,  # noqa: A002
    sort_by: Literal["name", "type", "created_at"] | None = None,
    sort_direction: Literal["ascending", "descending"] = "ascending",
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Many:
    """Answer a page."""
    chosen = [
        one
        for one in saved[account].values()
        if search_term.casefold() in one.name.casefold() and enabled in (None, one.enabled) and type in (None, one.type)
    ]
    if sort_by:
        chosen.sort(key=lambda one: getattr(one, sort_by))
    if sort_direction == "descending":
        chosen.reverse()
    shown = [_shown(one) for one in chosen[(page - 1) * page_size : page * page_size]]
    pagination = Pagination(
        current_page=page,
        page_size=page_size,
        count_this_page=len(shown),
        total_count=len(chosen),
        total_pages=-(-len(chosen) // page_size),
    )
    return Many(usage=_usage(account), destinations=shown, pagination=pagination)


async def _save(account: str, one: Stored) -> One:
    await log.append(one.model_dump_json())
    saved[account][one.id] = one
    return _one(account, one)


def _found(account: str, id: str) -> Stored:  # noqa: A002
    if (found := saved[account].get(id)) is None:
        raise HTTPException(404)
    return found


def _one(account: str, one: Stored) -> One:
    return One(usage=_usage(account), destination=_shown(one))


def _shown(one: Stored) -> Shown:
    return Shown(
        id=one.id,
        name=one.name,
        type=one.type,
        enabled=one.enabled,
        s3_bucket_name=one.s3_bucket_name,
        s3_path_prefix=one.s3_path_prefix,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _usage(account: str) -> Usage:
    used = len(saved[account])
    return Usage(used=used, available=LIMIT - used)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=len(sys.argv) > 3
    )
