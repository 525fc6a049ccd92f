"""Looking into the S3 server of the chaos tests and setting its faults, below a path that no bucket can have."""

import json
from urllib.parse import unquote

from fakes.chaos_call import Call
from fakes.chaos_faults import Plan
from fakes.chaos_state import Ledger
from fakes.scripted import Answer

BUCKET = "_control"
_LONGEST = 64 * 1024


async def control(call: Call, ledger: Ledger, plan: Plan) -> Answer:
    """Return the answer: the state, a kept content, or whether the faults were understood."""
    match call.head.method, call.key.partition("/")[0]:
        case "GET", "state":
            return _json(200, ledger.state())
        case "GET", "content":
            return _content(unquote(call.key.partition("/")[2]), ledger)
        case "POST", "faults":
            return await _set(call, plan)
    return _json(404, {"error": "there is /_control/state, /_control/content/{bucket}/{key} and /_control/faults"})


def _content(name: str, ledger: Ledger) -> Answer:
    stored = ledger.objects.get(name)
    if stored is None or not ledger.keep:
        return _json(404, {"error": "there is no such object, or contents are not kept"})
    return Answer(200, {}, ledger.content(stored.sha256).read_bytes())


async def _set(call: Call, plan: Plan) -> Answer:
    body = b"".join([chunk async for chunk in call.chunks()])
    try:
        wanted = json.loads(body[:_LONGEST])
        plan.set(wanted["faults"], wanted.get("bucket"))
    except (ValueError, TypeError, KeyError) as error:
        return _json(400, {"error": str(error)})
    return _json(200, {})


def _json(status: int, value: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
