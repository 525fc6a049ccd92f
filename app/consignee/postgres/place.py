"""Where a database is: its URL, taken apart without telling what is secret in it."""

import re
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from consignee.errors import StoreUnusable
from consignee.secret import Secret

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?")
_WRONG: Final = (
    "the URL of the store can't be used: it reads postgresql://user:password@host:port/database, with every"
    " character of the password but letters and digits written as % and its two hexadecimal digits"
)
_LAST_PORT: Final = 65535
_ATTRIBUTES: Final = "target_session_attrs"


def name_of(url: Secret) -> str:
    """Return host:port/database, which may be shown; raises StoreUnusable, which does not quote it, for what is no such URL."""
    hosts, database = _parts(url)
    return f"{','.join(hosts)}/{database}"


def each_host(url: Secret) -> list[Secret]:
    """Return one URL for each host that the URL names.

    Unless it says otherwise, of several only one that takes writes will do. A single name may lead to a standby too, for a
    moment after a change of servers: what it says is old, and its locks are nobody else's.
    """
    hosts, _ = _parts(url)
    parts = urlsplit(url.reveal())
    user = parts.netloc.rpartition("@")[0]
    query = parse_qs(parts.query)
    query.setdefault(_ATTRIBUTES, ["read-write" if len(hosts) > 1 else "primary"])
    places = [f"{user}@{host}" if user else host for host in hosts]
    asked = urlencode(query, doseq=True)
    return [Secret(urlunsplit((parts.scheme, place, parts.path, asked, ""))) for place in places]


def _parts(url: Secret) -> tuple[list[str], str]:
    try:
        parts = urlsplit(url.reveal())
        hosts = parts.netloc.rpartition("@")[2].split(",")
    except ValueError:
        raise StoreUnusable(_WRONG) from None
    database = parts.path.removeprefix("/")
    # A password with a slash in it would end the host, and pass for a part of what may be shown.
    whole = "@" not in database + parts.query + parts.fragment and re.fullmatch(r"[^/\s]+", database)
    if parts.scheme not in ("postgresql", "postgres") or not whole or not all(map(_is_host, hosts)):
        raise StoreUnusable(_WRONG)
    return hosts, database


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found[2] or 0) <= _LAST_PORT
