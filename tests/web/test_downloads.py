"""Files of result sets, downloaded whole and in ranges."""

import hashlib
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from consignee.settings import Settings
from consignee.web.downloads import section

from .conftest import Client, collected, sent

CONTENT = bytes(range(256)) * 2000
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


async def path_of(client: Client, name: str = "a.bin", content: bytes = CONTENT) -> str:
    """Send a file and return the path to download it."""
    result = await sent(client, await collected(client), {name: content})
    path: str = result["download_links"]["pages"][0]
    return path


async def test_a_file_is_sent_as_one_to_be_saved(client: Client) -> None:
    """Never shown, whatever it holds: it is a customer's."""
    response = await client.get(await path_of(client, "page.html"))
    assert (response.status, await response.read()) == (200, CONTENT)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["ETag"] == ETAG
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Trace-ID"]
    disposition = response.headers["Content-Disposition"]
    assert disposition == "attachment; filename=\"page.html\"; filename*=UTF-8''page.html"


@pytest.mark.parametrize(
    "name",
    ["a b", "100%", "%41", "%2F%2e", "a+b&c=d#e?f", 'say "hi"; x', "Büro 日本 🎉", "{a}", "'", ";,:@", "a.", "…", "~"],
)
async def test_any_name_that_a_file_can_have_can_be_asked_for(client: Client, name: str) -> None:
    path = await path_of(client, name, b"content")
    assert path.endswith("/" + quote(name, safe=""))
    response = await client.get(URL(path, encoded=True))
    assert (response.status, await response.read()) == (200, b"content")
    disposition = response.headers["Content-Disposition"]
    assert disposition.endswith(f"filename*=UTF-8''{quote(name, safe='')}")
    assert disposition.isascii()
    assert disposition.count('"') == 2


@pytest.mark.parametrize(
    "name", ["b.bin", "A.BIN", "", "0", "..", "%2e%2e", "..%2F..%2Fa.bin", "%2Fetc%2Fpasswd", "a.bin%00", "%FF"]
)
async def test_any_other_name_is_a_404(client: Client, name: str) -> None:
    path = (await path_of(client)).rpartition("/")[0]
    response = await client.get(URL(f"{path}/{name}", encoded=True))
    assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, len(CONTENT) - 1),
        ("bytes=300000-400000", 300000, 400000),
        ("Bytes = 5-9".replace(" ", ""), 5, 9),
        ("bytes=-3", len(CONTENT) - 3, len(CONTENT) - 1),
        ("bytes=-999999999", 0, len(CONTENT) - 1),
        (f"bytes=5-{10**17}", 5, len(CONTENT) - 1),
    ],
)
async def test_a_range_is_sent_alone(client: Client, asked: str, first: int, last: int) -> None:
    path = await path_of(client)
    for headers in ({"Range": asked}, {"Range": asked, "If-Range": ETAG}):
        response = await client.get(path, headers=headers)
        assert (response.status, await response.read()) == (206, CONTENT[first : last + 1])
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
        assert response.headers["ETag"] == ETAG


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,3-4"},
        {"Range": "bytes=-"},
        {"Range": "bytes=9-5"},
        {"Range": "items=0-1"},
        {"Range": "bytes=a-b"},
        {"Range": "bytes=+1-2"},
        {"Range": "bytes=0-1", "If-Range": '"another"'},
        {"Range": "bytes=0-1", "If-Range": "W/" + ETAG},
        {"Range": "bytes=0-1", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"Range": "bytes=9999999-", "If-Range": '"another"'},
    ],
)
async def test_all_is_sent_where_a_range_is_not_understood_or_not_of_this_file(
    client: Client, headers: dict[str, str]
) -> None:
    response = await client.get(await path_of(client), headers=headers)
    assert (response.status, await response.read()) == (200, CONTENT)
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0", f"bytes={10**17}-"])
async def test_a_range_that_there_is_not_is_refused_in_the_envelope(client: Client, asked: str) -> None:
    response = await client.get(await path_of(client), headers={"Range": asked})
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (416, "invalid_request")
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_an_empty_file_has_no_range(client: Client) -> None:
    path = await path_of(client, content=b"")
    response = await client.get(path)
    assert (response.status, response.headers["Content-Length"], await response.read()) == (200, "0", b"")
    assert (await client.get(path, headers={"Range": "bytes=0-"})).status == 416


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_section_never_leaves_the_file(length: int) -> None:
    for first in ("", *map(str, range(7))):
        for last in ("", *map(str, range(7))):
            found = section(f"bytes={first}-{last}", length)
            assert found is None or all(0 <= index < length for index in found)


async def test_head_tells_without_sending(client: Client) -> None:
    response = await client.head(await path_of(client), headers={"Range": "bytes=0-1"})
    assert (response.status, await response.read()) == (200, b"")
    assert (response.headers["Content-Length"], response.headers["ETag"]) == (str(len(CONTENT)), ETAG)


async def test_a_file_that_cant_be_read_is_503_and_not_half_an_answer(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = await path_of(client)
    (spooled,) = [one for one in (Path(settings.store.path) / "spool" / "kept").rglob("*") if one.is_file()]
    spooled.unlink()
    response = await client.get(path)
    assert (response.status, (await response.json())["request_info"]["code"]) == (503, "unavailable")
    assert str(spooled) not in caplog.text


async def test_a_file_that_turns_out_short_is_cut_off(client: Client, settings: Settings) -> None:
    """A client must not take what it got for the whole."""
    path = await path_of(client)
    (spooled,) = [one for one in (Path(settings.store.path) / "spool" / "kept").rglob("*") if one.is_file()]
    spooled.write_bytes(CONTENT[:300_000])
    response = await client.get(path)
    with pytest.raises(aiohttp.ClientError):
        await response.read()
