"""Whatever a client sends: it is understood, or refused with a clear error in the envelope, and never a 500."""

import asyncio
import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consignee.errors import ConsigneeError
from consignee.settings import LimitsSettings, Settings
from consignee.web.bodies import _parse_form, _parse_json, check_strings

from .conftest import FIELDS, Client, Start

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
DEEP = 100_000


async def refusal(client: Client, body: bytes, content_type: str | None = JSON, **headers: str) -> dict[str, Any]:
    """Send a body, and return the answer's envelope with its status."""
    if content_type is not None:
        headers["Content-Type"] = content_type
    skip = () if content_type is not None else ("Content-Type",)
    response = await client.post("/destinations", data=body, headers=headers, skip_auto_headers=skip)
    answer: dict[str, Any] = await response.json()
    assert answer["request_info"]["success"] is False
    assert answer["request_info"]["message"]
    assert response.headers["X-Trace-ID"]
    return {"status": response.status, "code": answer["request_info"]["code"], "errors": answer.get("errors")}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'name': 1}",
        b'{"name": "x",}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b'{"name": ' + b"1" * 5000 + b"}",
        b'{"name": "a\nb"}',
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b"[" * DEEP,
        b"[]",
        b"5",
        b"null",
        b'"name"',
        b'\xef\xbb\xbf{"name": "x"}',
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_what_is_not_a_json_object_is_refused(client: Client, body: bytes) -> None:
    assert await refusal(client, body) == {"status": 400, "code": "invalid_json", "errors": None}


async def test_nesting_that_is_valid_but_deep_is_refused(client: Client) -> None:
    body = b'{"other": ' + b"[" * 100 + b"]" * 100 + b"}"
    answer = await refusal(client, body)
    assert (answer["status"], answer["errors"]) == (400, {"other": ["is nested too deeply"]})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "a", "type": "s3", "name": "b"}', "name"),
        (b'{"x": {"deep": 1, "deep": 2}}', "deep"),
    ],
)
async def test_duplicate_keys_are_refused(client: Client, body: bytes, field: str) -> None:
    answer = await refusal(client, body)
    assert (answer["status"], answer["code"]) == (400, "invalid_request")
    assert answer["errors"] == {field: ["is given more than once"]}


async def test_duplicate_form_fields_are_refused(client: Client) -> None:
    answer = await refusal(client, b"name=a&type=s3&name=b", FORM)
    assert answer["errors"] == {"name": ["is given more than once"]}


@pytest.mark.parametrize("content_type", [JSON, FORM])
async def test_bytes_that_are_not_utf8_are_refused(client: Client, content_type: str) -> None:
    body = b'{"name": "\xff"}' if content_type == JSON else b"name=\xff"
    assert (await refusal(client, body, content_type))["status"] == 400


async def test_escapes_that_are_not_utf8_are_refused_with_a_hint(client: Client) -> None:
    """An unescaped %DATE% in a form is the usual cause."""
    response = await client.post("/destinations", data=b"s3_path_prefix=%DATE%", headers={"Content-Type": FORM})
    assert response.status == 400
    assert "%25" in (await response.json())["request_info"]["message"]


@pytest.mark.parametrize(
    "text",
    ["a\\ud800b", "a\\u0000b", "a\\u0007b", "a\\u007fb", "a\\u0085b", "a\\nb"],
)
@pytest.mark.parametrize("field", ["name", "unknown"])
async def test_unfit_characters_are_refused_in_any_string(client: Client, text: str, field: str) -> None:
    answer = await refusal(client, f'{{"{field}": "{text}"}}'.encode())
    assert (answer["status"], list(answer["errors"])) == (400, [field])


@pytest.mark.parametrize("body", [b"name=a%00b", b"name=a%0Ab", b"na%07me=a", b"name=%C2%85"])
async def test_unfit_characters_are_refused_in_forms(client: Client, body: bytes) -> None:
    answer = await refusal(client, body, FORM)
    assert (answer["status"], list(answer["errors"])) == (400, ["name"])


@pytest.mark.parametrize("body", [b"destination[name]=x", b"ids%5B%5D=1&name=a"])
async def test_the_brackets_of_php_are_refused(client: Client, body: bytes) -> None:
    answer = await refusal(client, body, FORM)
    (problem,) = answer["errors"].values()
    assert "brackets" in problem[0]


@pytest.mark.parametrize("truth", ["true", "TRUE", "1", "True"])
@pytest.mark.parametrize("lie", ["false", "False", "0"])
async def test_forms_may_write_booleans_in_several_ways(client: Client, truth: str, lie: str) -> None:
    for word, value in ((truth, True), (lie, False)):
        answer = await (await client.post("/destinations", data={**FIELDS, "enabled": word})).json()
        assert answer["destination"]["enabled"] is value


@pytest.mark.parametrize("value", ["yes", "", "2", 2, 0.0, None, [], {}])
async def test_other_words_are_not_booleans(client: Client, value: object) -> None:
    response = await client.post("/destinations", json={**FIELDS, "enabled": value})
    assert list((await response.json())["errors"]) == ["enabled"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/html",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=nonsense",
        "application/x-www-form-urlencoded; charset=shift_jis",
    ],
)
async def test_other_content_types_and_charsets_are_refused(client: Client, content_type: str | None) -> None:
    answer = await refusal(client, b"{}", content_type)
    assert (answer["status"], answer["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", "us-ascii"])
async def test_utf8_may_be_named(client: Client, charset: str) -> None:
    body = json.dumps(FIELDS).encode()
    response = await client.post("/destinations", data=body, headers={"Content-Type": f"{JSON}; charset={charset}"})
    assert response.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity", "x"])
async def test_an_encoded_body_is_refused(client: Client, encoding: str) -> None:
    body = gzip.compress(json.dumps(FIELDS).encode())
    answer = await refusal(client, body, JSON, **{"Content-Encoding": encoding})
    assert (answer["status"], answer["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_the_limit_is_refused(start: Start, settings: Settings, chunked: bool) -> None:
    client = await start(replace(settings, limits=LimitsSettings(body_bytes=2000)))
    body = json.dumps({**FIELDS, "other": "x" * 3000}).encode()

    async def chunks() -> Any:
        yield body

    response = await client.post("/destinations", data=chunks() if chunked else body, headers={"Content-Type": JSON})
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (413, "payload_too_large")


async def test_a_form_of_too_many_fields_is_refused(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(form_fields=10)))
    assert (await refusal(client, b"&".join(b"f%d=1" % number for number in range(11)), FORM))["status"] == 400


async def test_a_body_that_never_arrives_is_given_up(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(body_timeout=0.05)))

    async def never() -> Any:
        yield b"{"
        await asyncio.sleep(30)

    response = await client.post("/destinations", data=never(), headers={"Content-Type": JSON})
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (408, "request_timeout")
    response.close()


@pytest.mark.parametrize("value", [5, 1.5, True, [], {}, ["x"]])
async def test_a_field_of_another_json_type_is_named(client: Client, value: object) -> None:
    response = await client.post("/destinations", json={**FIELDS, "name": value, "memory_secret": value})
    answer = await response.json()
    assert answer["errors"] == {"name": ["must be a string"], "memory_secret": ["must be a string"]}


@pytest.mark.parametrize("value", ["ftp", "", None, 5, ["s3"], "S3"])
async def test_an_unknown_type_is_refused(client: Client, value: object) -> None:
    response = await client.post("/destinations", json={**FIELDS, "type": value})
    answer = await response.json()
    assert response.status == 400
    assert list(answer["errors"]) == ["type"]


async def test_unknown_fields_are_ignored_and_never_stored(client: Client) -> None:
    extra = {"source": "sdk", "app_name": "x", "s3_bucket_name": "Not A Bucket", "nested": {"a": [1, 2]}}
    response = await client.post("/destinations", json={**FIELDS, **extra})
    destination = (await response.json())["destination"]
    assert response.status == 200
    assert not set(extra) & set(destination)


async def test_very_many_duplicates_are_refused_at_once_and_a_few_named(client: Client) -> None:
    """Counting each name anew would take minutes, and hold up everybody."""
    body = b"{" + b",".join([b'"a":0'] * 80_000) + b',"b":1}'
    async with asyncio.timeout(10):
        answer = await refusal(client, body)
    assert answer["errors"] == {"a": ["is given more than once"]}
    pairs = b",".join(b'"%d":0,"%d":0' % (number, number) for number in range(1000))
    assert len((await refusal(client, b"{" + pairs + b"}"))["errors"]) == 20


async def test_no_more_than_a_few_wrong_fields_are_named(client: Client) -> None:
    """An answer is not larger than what was asked."""
    unfit = b"{" + b",".join(b'"%d\\u0000":1' % number for number in range(1000)) + b"}"
    assert len((await refusal(client, unfit))["errors"]) == 20
    bracketed = b"&".join(b"f%d[]=1" % number for number in range(1000))
    assert len((await refusal(client, bracketed, FORM))["errors"]) == 20


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called and generators gone on with, in a piece of work that may refuse."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    except ConsigneeError:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "x" * 100_000}),
        json.dumps({"x" * 100_000 + "\0": ""}),
        json.dumps({"x" * 50_000: "", "y": ""}).replace("y", "x" * 50_000),
        json.dumps({f"{number}\0": "" for number in range(10_000)}),
    ],
    ids=["long value", "long unfit name", "long name twice", "many unfit names"],
)
def test_a_body_is_not_looked_at_character_by_character(text: str) -> None:
    """Everybody waits meanwhile."""
    assert calls(lambda: check_strings(_parse_json(text, LimitsSettings()))) < 5000
    assert calls(lambda: check_strings(_parse_form("x" * 100_000 + "[=1", LimitsSettings()))) < 5000
