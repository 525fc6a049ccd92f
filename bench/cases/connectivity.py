"""The connectivity test of each destination type, with the storage 50 ms away, beside the providers' own clients."""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from contest import OURS, Aim, Contest, Sample
from distance import ROUND_TRIP_MS, distant
from lab import Lab
from sink import Sink, serving

NOTE: Final = (
    "Upload and delete over TLS 1.3 through a relay that adds a round trip of 50 ms (bench/distance.py; TCP's own is simulated "
    "there). Trips: how many such round trips one test takes, one after the other; ideal are 4 for a cold one (TCP, TLS, PUT, "
    "DELETE), 2 for a warm one. Cold: the service, or the client, has just been opened and has no connection; the first of the "
    "process also imports what is imported when it is needed. CPU: of one among 200 at once; alone each costs more, for between "
    "two round trips the core's caches are filled by others. Ours checks the fields, seals the secrets, makes durable what may "
    "stay behind, and forgets that again; the others upload and delete. 200 at once: with verification.concurrency = 400."
)
KINDS: Final = ("s3", "s3compatible", "gcs", "azure", "oss")
PEERS: Final[Mapping[str, Mapping[str, str]]] = {
    "s3": {"bare asyncio": "bare", "obstore": "obstore", "aiobotocore": "aiobotocore"},
    "azure": {"azure-storage-blob aio": "azure"},
    "oss": {"oss2 in threads": "oss2"},
}
LEEWAY: Final = 1.15
LOCATIONS: Final = """
        root {home}/files;
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
            add_header ETag '"sink"' always;
        }}
        location = /bucket {{
            default_type application/xml;
            return 200 '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Deleted><Key>one</Key></Deleted></DeleteResult>';
        }}
        location /bench/ {{
            if ($request_method = DELETE) {{
                return 202;
            }}
            add_header ETag '"sink"' always;
            return 201;
        }}
        location = /token {{
            default_type application/json;
            return 200 '{{"access_token": "bench", "expires_in": 3600, "token_type": "Bearer"}}';
        }}
        location = /upload/storage/v1/b/bucket/o {{
            default_type application/json;
            return 200 '{{"bucket": "bucket", "name": "$arg_name"}}';
        }}
        location /storage/v1/b/bucket/o/ {{
            return 204;
        }}
"""
"""An ETag that looks like an MD5 would be compared. `/bucket` is for obstore, which deletes by lists, `/bench/` for the azure
SDK, which wants a 202, and the rest for Google's JSON API."""


def contests(lab: Lab) -> Iterator[Contest]:
    """Yield one contest for each type."""
    for kind in lab.pick(KINDS, KINDS[:1]):
        yield _contest(lab, kind)
    if not lab.quick:
        yield _with_token(lab)


def far_sink(lab: Lab) -> Iterator[Sink]:
    """Yield the sink; for `Lab.shared`."""
    for near in serving(lab, "connectivity", LOCATIONS):
        yield from distant(near)


def _ours(lab: Lab, kind: str, *loop: str) -> Sample:
    sink = lab.shared(far_sink)
    home = Path(tempfile.mkdtemp(dir=lab.disk))
    return lab.turn("connectivity_consignee", kind, sink.https, sink.ca_file, home, ROUND_TRIP_MS, *loop)


def _theirs(lab: Lab, client: str) -> Sample:
    sink = lab.shared(far_sink)
    return lab.turn(f"connectivity_{client}", sink.https, sink.ca_file, ROUND_TRIP_MS)


def _contest(lab: Lab, kind: str) -> Contest:
    contenders = {OURS: partial(_ours, lab, kind, "uvloop")}
    if kind == "s3":
        contenders |= {"consignee, without uvloop": partial(_ours, lab, kind)}
    return Contest(
        title=f"Connectivity test, {kind}",
        unit="test",
        contenders=contenders | {name: partial(_theirs, lab, client) for name, client in PEERS.get(kind, {}).items()},
        aims=(
            Aim("trips, cold", most=4 * LEEWAY),
            Aim("trips, warm", most=2 * LEEWAY),
            Aim("cpu", most=0.002),
            Aim("CPU ms, warm", most=2),
            Aim("200 at once / one, cold", most=2),
            Aim("200 at once / one, warm", most=2),
        ),
        note=NOTE,
    )


def _with_token(lab: Lab) -> Contest:
    return Contest(
        title="Connectivity test, gcs by service account",
        unit="test",
        contenders={OURS: partial(_ours, lab, "gcs token", "uvloop")},
        aims=(Aim("trips, cold", most=5 * LEEWAY), Aim("trips, warm", most=3 * LEEWAY)),
        note="As above, but each test asks for a token of its own first, at the same host: ideal are 5 and 3. The destination is "
        "saved: to check the RSA key of one that is not takes OpenSSL another 30 ms.",
    )
