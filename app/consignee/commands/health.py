"""consignee health: whether the service on this machine is ready, for supervisors."""

import argparse
import http.client
import json
import urllib.error
import urllib.request
from typing import Final

from consignee.commands.output import say
from consignee.commands.whereabouts import url_of
from consignee.settings import load_settings

_PATIENCE_SECONDS: Final = 5.0
_LONGEST_ANSWER: Final = 65_536


def run(arguments: argparse.Namespace) -> int:
    """Print how the service is; return 0 if it is ready, 1 if not."""
    url = url_of(arguments.url, load_settings(arguments.config))
    problem = _problem(url)
    say(arguments, {"url": url, "ready": problem is None, "problem": problem}, [f"{url}: {problem or 'ready'}"])
    return 1 if problem else 0


def _problem(url: str) -> str | None:
    # No proxy of the environment: it is this machine that is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=_PATIENCE_SECONDS) as response:
            return _told(response.read(_LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return _told(error.read(_LONGEST_ANSWER)) or f"not ready: status {error.code}"
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        return f"no answer: {getattr(cause, 'strerror', None) or type(cause).__name__}"


def _told(body: bytes) -> str | None:
    """Return why the service says that it is not ready, or None if it is."""
    try:
        told = json.loads(body)["request_info"]
        return None if told["success"] is True else f"not ready: {told['message']}"
    except (ValueError, KeyError, TypeError):
        return "something else than consignee answers there"
