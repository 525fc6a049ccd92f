"""That the fake of Google takes uploads in sessions as Google does, and refuses what Google refuses."""

import base64
import hashlib
import json
import time
from typing import Any

import pytest
from aiohttp import ClientSession

from fakes.certificates import Authority
from fakes.google import Google
from fakes.google_calls import BUCKET, EMAIL, STORAGE, bearer, connected
from fakes.google_sessions import QUANTUM, WEEK
from fakes.test_google import client

DATA = bytes(range(256)) * 1024 + b"the rest"


async def begun(google: Google, session: ClientSession, **about: Any) -> str:
    """Begin a session, and return its address."""
    google.service_account(EMAIL)
    headers = await bearer(session) | {"X-Upload-Content-Length": str(len(DATA))}
    url = f"{STORAGE}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable"
    async with session.post(url, json={"name": "x", **about}, headers=headers) as response:
        assert response.status == 200
        return response.headers["Location"]


async def put(session: ClientSession, url: str, span: str | None, data: bytes = b"") -> tuple[int, str]:
    """Send to a session, and return the status, and the range that it has or what it says."""
    headers = {"Content-Range": span} if span else {}
    async with session.put(url, data=data, headers=headers, allow_redirects=False) as response:
        return response.status, response.headers.get("Range") or await response.text()


async def test_the_library_uploads_in_a_session(google: Google, ca: Authority) -> None:
    """gcloud-aio as it is: all in one request, without a range."""
    account = google.service_account(EMAIL)
    google.skew = time.time() - google.now()  # its assertions are of today
    async with connected(google, ca) as session:
        made = await client(session, account).upload(BUCKET, "x", DATA, force_resumable_upload=True)
    assert (made["name"], made["size"]) == ("x", str(len(DATA)))
    assert (google.objects[BUCKET], google.sessions.unfinished()) == ({"x": DATA}, [])


async def test_pieces_make_the_object(google: Google, session: ClientSession) -> None:
    url, total = await begun(google, session), len(DATA)
    assert await put(session, url, f"bytes */{total}") == (308, "")
    assert await put(session, url, f"bytes 0-{QUANTUM - 1}/{total}", DATA[:QUANTUM]) == (308, f"bytes=0-{QUANTUM - 1}")
    assert await put(session, url, f"bytes */{total}") == (308, f"bytes=0-{QUANTUM - 1}")
    assert google.sessions.unfinished() == ["x"]
    assert google.objects[BUCKET] == {}
    for span, data in ((f"bytes {QUANTUM}-{total - 1}/{total}", DATA[QUANTUM:]), (f"bytes */{total}", b"")):
        status, text = await put(session, url, span, data)
        assert (status, json.loads(text)["md5Hash"]) == (200, base64.b64encode(hashlib.md5(DATA).digest()).decode())
    assert google.sessions.unfinished() == []
    assert google.objects[BUCKET] == {"x": DATA}


@pytest.mark.parametrize(
    ("span", "length"),
    [
        ("bytes 0-99/{total}", 100),
        ("bytes {quantum}-{last}/{total}", 8),
        ("bytes 0-{end}/{quantum}", QUANTUM),
        ("bytes 0-{end}/{total}", QUANTUM - 1),
        ("bytes 0-{end}/*", QUANTUM),
        ("0-{end}/{total}", QUANTUM),
        ("bytes=0-{end}/{total}", QUANTUM),
        ("bytes */{total}", 1),
        ("bytes */7", 0),
    ],
)
async def test_a_wrong_range_is_refused(google: Google, session: ClientSession, span: str, length: int) -> None:
    """No multiple of 256 KiB, a gap, another total, another length than is sent, and what is no range."""
    url = await begun(google, session)
    span = span.format(total=len(DATA), quantum=QUANTUM, end=QUANTUM - 1, last=len(DATA) - 1)
    assert (await put(session, url, span, DATA[:length]))[0] == 400
    assert await put(session, url, f"bytes */{len(DATA)}") == (308, "")


async def test_another_content_than_was_announced_is_refused(google: Google, session: ClientSession) -> None:
    url = await begun(google, session, md5Hash="1B2M2Y8AsgTpgAmY7PhCfg==")
    status, text = await put(session, url, None, DATA)
    assert (status, "doesn't match calculated MD5 hash" in text) == (400, True)
    assert google.objects[BUCKET] == {}


async def test_a_cancelled_an_expired_and_an_unknown_session_are_gone(google: Google, session: ClientSession) -> None:
    url = await begun(google, session)
    async with session.delete(url, headers={"Content-Length": "0"}) as response:
        assert response.status == 499
    assert (await put(session, url, f"bytes */{len(DATA)}"))[0] == 404
    assert (await put(session, url + "x", f"bytes */{len(DATA)}"))[0] == 404
    url = await begun(google, session)
    google.skew = WEEK
    assert (await put(session, url, f"bytes */{len(DATA)}"))[0] == 410
    assert google.objects[BUCKET] == {}


async def test_a_session_needs_a_token_to_begin_and_refuses_a_bad_one_later(
    google: Google, session: ClientSession
) -> None:
    url = f"{STORAGE}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=x"
    async with session.post(url) as response:
        assert response.status == 401
    url, bad = await begun(google, session), {"Authorization": "Bearer x", "Content-Range": f"bytes */{len(DATA)}"}
    async with session.put(url, headers=bad) as response:
        assert response.status == 401


@pytest.mark.parametrize("about", [{"name": ""}, {"name": ".."}, {"unknown": 1}, {"name": 7}])
async def test_what_no_object_can_be_is_refused(google: Google, session: ClientSession, about: Any) -> None:
    google.service_account(EMAIL)
    url = f"{STORAGE}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable"
    async with session.post(url, json=about, headers=await bearer(session)) as response:
        assert response.status == 400
    assert google.sessions.unfinished() == []
