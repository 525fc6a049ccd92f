"""Files of the package as they are sent: read once, also compressed, and only what the package brings may be loaded by them."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING

from consignee.errors import NotFound

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json; charset=utf-8",
}
"""The kinds of files that are sent; nothing else in a folder is."""
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INDEX: Final = "index.html"
_UNWANTED: Final = re.compile(r"\s*q=0(\.0*)?\s*")
_HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": ACCEPT_ENCODING,
}


@dataclass(frozen=True)
class File:
    """A file as it is sent, also compressed."""

    type: str
    plain: bytes
    zipped: bytes


@cache
def folder(path: str) -> Mapping[str, File]:
    """Return the files of a folder of the package, such as `web/docs`, by name; they are read once."""
    found = {}
    for one in files("consignee").joinpath(path).iterdir():
        if (kind := TYPES.get(PurePosixPath(one.name).suffix)) is not None:
            plain = one.read_bytes()
            found[one.name] = File(kind, plain, gzip.compress(plain, mtime=0))
    return MappingProxyType(found)


def page(request: web.Request, path: str, *, of: str) -> web.Response:
    """Return the answer with the file of a folder that the request names, or its index; raises NotFound."""
    found = folder(path).get(request.match_info["page"] or INDEX)
    if found is None:
        raise NotFound(f"The {of} has no such file.")
    return send(request, found)


def send(request: web.Request, file: File) -> web.Response:
    """Return the answer with a file, compressed if the client takes that."""
    headers = {**_HEADERS, "Content-Type": file.type}
    if not _takes_gzip(request.headers.get(ACCEPT_ENCODING, "")):
        return web.Response(body=file.plain, headers=headers)
    return web.Response(body=file.zipped, headers={**headers, "Content-Encoding": "gzip"})


def _takes_gzip(accepted: str) -> bool:
    codings = (one.partition(";") for one in accepted.lower().split(","))
    return any(name.strip() == "gzip" and not _UNWANTED.fullmatch(weight) for name, _, weight in codings)
