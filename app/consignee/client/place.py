"""Where the service is, and the key to it: judged before anything is sent."""

import re
from typing import Final
from urllib.parse import urlsplit

from consignee.secret import Secret

_KEY: Final = re.compile(r"[!-~]+")


def checked_url(given: str) -> str:
    """Return the URL without a slash at its end; raises ValueError, which quotes nothing of it: there may be a password."""
    try:
        parts = urlsplit(given)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as whoever looks it up will
    except ValueError:
        well_formed = False
    if not well_formed or "@" in given or "?" in given or "#" in given or not given.isprintable() or " " in given:
        raise ValueError("must be an http or https URL without user name, query and fragment")
    return given.rstrip("/")


def checked_key(key: Secret) -> Secret:
    """Return the API key; raises ValueError, which does not quote it."""
    if not _KEY.fullmatch(key.reveal()):
        raise ValueError("must be an API key, and nothing else")
    return key
