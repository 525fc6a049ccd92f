"""The tour: what a client does over HTTP, each request with its answer, and whether that was the right one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import aiohttp

from consignee.demo.clouds import BUCKET, SECRET, USER, Clouds

API_KEY: Final = "demo"
PREFIX: Final = "exports/%COLLECTION_NAME%/%DATE%/%RESULT_SET_ID%"


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    body: Any


class Tour:
    """Talks to a server at `url`; `failures` are the steps that did not go as they should."""

    def __init__(self, session: aiohttp.ClientSession, clouds: Clouds) -> None:
        self.url = ""
        self.failures: list[str] = []
        self._session = session
        self._clouds = clouds

    async def first_part(self) -> None:
        """Create destinations, good and bad, and change them."""
        by_form = await self.ask("Create from a form", "POST", "/destinations", form=self._fields("From a form"))
        await self.ask("Create from JSON", "POST", "/destinations", content=self._fields("From JSON"))
        await self.ask(
            "A wrong secret: the + was not escaped in the form",
            "POST",
            "/destinations",
            form=self._fields("Wrong secret"),
            unescaped=True,
            expect="credentials_rejected",
        )
        missing = {**self._fields("No bucket"), "s3_bucket_name": "no-such-bucket"}
        await self.ask("A missing bucket", "POST", "/destinations", content=missing, expect="bucket_not_found")
        await self.ask("List", "GET", "/destinations")
        here = f"/destinations/{_id(by_form)}"
        await self.ask("Disable", "PUT", here, form={"enabled": "false"})
        await self.ask("Enable: tested again first", "PUT", here, form={"enabled": "true"})
        await self.ask("Delete", "DELETE", here)

    async def all_types(self) -> None:
        """Create a destination of each type that a storage server could be started for."""
        for type_, keys in sorted(self._clouds.fields.items()):
            vendor = next(iter(keys)).partition("_")[0]
            about = {"name": f"My {type_}", "enabled": "true", "type": type_, f"{vendor}_path_prefix": PREFIX}
            await self.ask(f"A destination of type {type_}", "POST", "/destinations", form={**about, **keys})
        for type_, reason in self._clouds.missing.items():
            print(f"\n## Left out: a destination of type {type_}\n   {reason}")

    async def second_part(self) -> None:
        """See what was kept over a restart, and that the bucket is clean."""
        reply = await self.ask("List after a restart", "GET", "/destinations")
        names = [one["name"] for one in reply.body.get("destinations", ())]
        kept = ["From JSON", *(f"My {type_}" for type_ in sorted(self._clouds.fields))]
        self.check("every destination is still there", names == kept)
        left = [await bucket.keys() for bucket in self._clouds.buckets.values()]
        self.check("the tests left nothing in the buckets", not any(left))

    async def ask(
        self,
        title: str,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        unescaped: bool = False,
        expect: str = "",
    ) -> Reply:
        """Send a request, print it and its answer; `expect` is the code of the failure that is right here."""
        print(f"\n## {title}\n{method} {path}?api_key={API_KEY}")
        _print_fields(form or content or {name: f"{len(body)} bytes" for name, body in (files or {}).items()})
        data = _encoded(form, unescaped) if form else _multipart(files) if files else None
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else None
        reply = await self._send(method, path, data=data, json=content, headers=headers)
        print(f"-> {reply.status} {_short(reply.body)}")
        code = reply.body["request_info"].get("code", "")
        self.check(expect or "success", (reply.status, code) == ((400, expect) if expect else (200, "")))
        return reply

    async def look(self, path: str) -> Any:
        """Return what there is, without a word about it."""
        return (await self._send("GET", path)).body

    async def _send(self, method: str, path: str, **more: Any) -> Reply:
        async with self._session.request(method, self.url + path, params={"api_key": API_KEY}, **more) as response:
            return Reply(response.status, await response.json())

    def check(self, what: str, right: bool) -> None:
        """Print whether that is right, and remember it if not."""
        print(f"   {'as expected' if right else 'NOT AS EXPECTED'}: {what}")
        if not right:
            self.failures.append(what)

    def _fields(self, name: str) -> dict[str, str]:
        return {
            "name": name,
            "enabled": "true",
            "type": "s3compatible",
            "s3_endpoint": self._clouds.storage.url,
            "s3_access_key_id": USER,
            "s3_secret_access_key": SECRET,
            "s3_bucket_name": BUCKET,
            "s3_path_prefix": PREFIX,
        }


def _id(reply: Reply) -> str:
    return str(reply.body.get("destination", {}).get("id", "none"))


def _encoded(form: Mapping[str, str], unescaped: bool) -> str:
    encoded = urlencode(form)
    return encoded.replace(quote_plus(SECRET), SECRET) if unescaped else encoded


def _multipart(files: Mapping[str, bytes]) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for name, content in files.items():
        form.add_field("file", content, filename=name)
    return form


def _print_fields(fields: Mapping[str, Any] | None) -> None:
    for name, value in (fields or {}).items():
        print(f"   {name}: {'***' if _is_secret(name) else ', '.join(value) if isinstance(value, list) else value}")


def _short(body: Mapping[str, Any]) -> str:
    info = body["request_info"]
    if not info["success"]:
        steps = body.get("connectivity", {}).get("steps", [])
        hints = [f"\n   {step['step']}: {step['code']}\n   hint: {step['hint']}" for step in steps if not step["ok"]]
        return f"{info['message']}{''.join(hints)}"
    if "destination" in body:
        return f"{_line(body['destination'])}, usage {json.dumps(body['usage'])}"
    if "destinations" in body:
        return "".join(f"\n   {_line(one)}" for one in body["destinations"])
    if "collection" in body:
        return "collection {id} {name!r}".format_map(body["collection"])
    if "result" in body:
        return f"result set {body['result']['id']}, safely on disk"
    return str(info.get("message", "ok"))


def _line(destination: Mapping[str, Any]) -> str:
    steps = (destination["last_test"] or {}).get("connectivity", {}).get("steps", [])
    tested = ", ".join(f"{step['step']} {'ok' if step['ok'] else step['code']} ({step['ms']} ms)" for step in steps)
    state = "enabled" if destination["enabled"] else "disabled"
    return f"{destination['id']} {destination['name']!r} {state}; tested: {tested}"


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("secret", "account_key", "access_key"))
