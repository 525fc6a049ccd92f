"""The OpenAPI document as it is served, and the page that shows it."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from consignee.providers import discover
from consignee.settings import Settings
from consignee.web import openapi, setup, static
from consignee.web.openapi.__main__ import text
from consignee.web.reference import DOCUMENT, FOLDER, WHERE

from .conftest import Client, Start

ROOT = Path(__file__).parent.parent.parent
SERVED = ("app", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
"""All that a package is built from."""


def test_the_document_in_the_tree_is_the_one_that_would_be_made() -> None:
    """`make openapi` makes it anew."""
    assert json.loads((ROOT / "app" / "consignee" / WHERE / DOCUMENT).read_text()) == json.loads(text())
    assert (ROOT / "app" / "consignee" / WHERE / DOCUMENT).read_text() == text()


def test_a_wheel_brings_its_own_document_whatever_lies_in_the_tree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in SERVED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source)
    (source / "app" / "consignee" / WHERE / DOCUMENT).write_text("{}")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check"]
    subprocess.run([*build, "--outdir", str(tmp_path), str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as found:
        assert found.read(f"consignee/{WHERE}/{DOCUMENT}").decode() == text()
        page = {name for name in found.namelist() if name.startswith(f"consignee/{FOLDER}/")}
    assert page == {f"consignee/{FOLDER}/{name}" for name in ("index.html", "docs.css", "docs.js")}


def test_a_service_needs_nothing_of_what_makes_the_document() -> None:
    program = (
        "import sys, consignee.cli, consignee.web.server; print([name for name in sys.modules if 'apispec' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_the_document_is_served_without_a_key(start: Start) -> None:
    client = await start(key=None)
    response = await client.get("/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == openapi.document(discover().values())
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_it_goes_out_compressed_to_who_takes_that(client: Client) -> None:
    async with client.session.get(
        client.make_url("/openapi.json"), headers={"Accept-Encoding": "gzip"}, auto_decompress=False
    ) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()).decode() == text()


async def test_under_a_prefix_the_paths_follow_the_document(settings: Settings, aiohttp_client: AiohttpClient) -> None:
    """`servers` is relative to where the document is, so nothing in it has to be changed."""
    app = web.Application()
    setup(app, settings, prefix="/storage")
    client = await aiohttp_client(app)
    response = await client.get("/storage/openapi.json")
    (server,) = (await response.json())["servers"]
    assert urljoin(str(response.url), server["url"]).endswith("/storage/")


async def test_the_page_and_all_that_it_loads_is_there_under_any_prefix(
    settings: Settings, aiohttp_client: AiohttpClient
) -> None:
    """Every address in it is relative, and leads to something of the right kind."""
    app = web.Application()
    setup(app, settings, prefix="/deep/storage")
    client = await aiohttp_client(app)
    response = await client.get("/deep/storage/docs")
    assert (response.url.path, response.content_type) == ("/deep/storage/docs/", "text/html")
    assert response.headers["Content-Security-Policy"] == static.CSP
    page = await response.text()
    script = await (await client.get("/deep/storage/docs/docs.js")).text()
    loaded = re.findall(r'(?:href|src)="([^"#]+)"', page) + re.findall(r'(?:from |fetch\()"([^"]+)"', script)
    assert {"docs.js", "docs.css", "../openapi.json", "../console/style.css", "../console/dom.js"} <= set(loaded)
    for address in loaded:
        found = await client.get(urljoin("/deep/storage/docs/", address))
        assert found.status == 200, address


async def test_there_is_nothing_else_in_the_folder(client: Client) -> None:
    for name in ("nothing.js", "..%2Freference.py", "__init__.py"):
        response = await client.get(f"/docs/{name}")
        assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["index.html", "docs.js", "docs.css"])
def test_nothing_in_it_is_inline_or_from_elsewhere(name: str) -> None:
    """Which its own policy would refuse."""
    found = (ROOT / "app" / "consignee" / FOLDER / name).read_text()
    assert not re.search(r"https?://|<style|\sstyle=|\son\w+=|javascript:|innerHTML|eval\(", found)
    assert not re.search(r"<script(?![^>]*\ssrc=)", found)
