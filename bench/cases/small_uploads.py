"""Objects of 1 KB, written one by one under new keys: `Bucket.put` beside what a user would take in its place."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from contest import OURS, Aim, Contest, Table, Turn
from lab import CLIENTS, Lab
from sink import Sink, serving

ETAG: Final = hashlib.md5(bytes(range(256)) * 4, usedforsecurity=False).hexdigest()
"""Of the one content that all clients write (clients/small_puts.py): where an ETag is an MD5, consignee compares it."""
LOCATIONS: Final = f"""
        root {{home}}/files;
        location / {{{{
            dav_methods PUT;
            create_full_put_path on;
            add_header ETag '"{ETAG}"' always;
            # What rclone sends to Azure after the block itself; for nginx it would be the same file again.
            if ($arg_comp = blocklist) {{{{ return 201; }}}}
        }}}}
"""
CHECK: Final = (
    "The same client, once, against a server that checks signatures and digests; the tests do so for all types."
)
RATES: Final = ("objects/s, 1 at once", "rate", "objects/s, 64 at once")
CPU: Final = ("CPU ms, 1 at once", "cpu", "CPU ms, 64 at once")
MOST_CPU: Final = (0.3, 0.0003, 0.3)
WITHOUT_UVLOOP: Final = f"{OURS} without uvloop"
NOTE: Final = (
    "In the columns without a number, 16 at once. Each process is warm, its connections open; rclone's start is taken off. All "
    "of asyncio run in uvloop, but for the second row. "
    "wrk sends one and the same request again and again: what the sink takes."
)
BOTO: Final = {"boto3 in threads": "small_boto3"}
AIOBOTO: Final = {"aiobotocore": "small_aiobotocore"}
AZURE: Final = {"azure-storage-blob aio": "small_azure"}
ALIBABA: Final = {"oss2 in threads": "small_oss2", "alibabacloud-oss-v2 aio": "small_alibabacloud"}
SDKS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "s3": ("Amazon S3", BOTO | AIOBOTO),
    "gcs": ("Google Cloud Storage by HMAC keys", BOTO),
    "azure": ("Azure Blob Storage", AZURE),
    "oss": ("Alibaba Cloud OSS", ALIBABA),
}


def contests(lab: Lab) -> Iterator[Contest | Table]:
    """Yield a contest for each type over http, one over https, and whether the bytes and signatures are right."""
    for kind, (label, sdks) in SDKS.items():
        where = lab.shared(small_sink)
        yield _contest(f"1 KB objects to {label}", kind, _turns(lab, kind, where.http, where, sdks), sdks)
    where = lab.shared(small_sink)
    yield _contest("1 KB objects to Amazon S3 over https", "s3", _turns(lab, "s3", where.https, where, BOTO), BOTO)
    yield Table("1 KB objects to Amazon S3: what is sent", ("server", "outcome"), partial(_checked, lab), CHECK)


def _checked(lab: Lab) -> list[list[str]]:
    outcome = lab.run([sys.executable, str(CLIENTS / "small_checked.py")]).splitlines()[-1]
    return [["OpenStack Swift", outcome]]


def small_sink(lab: Lab) -> Iterator[Sink]:
    """Yield a sink that answers with the ETag of what all clients write; for `Lab.shared`."""
    yield from serving(lab, "small", LOCATIONS)


def _contest(title: str, kind: str, turns: Mapping[str, Turn], sdks: Mapping[str, str]) -> Contest:
    return Contest(title=title, unit="object", contenders=turns, aims=_aims(list(sdks)), note=NOTE)


def _aims(sdks: Sequence[str]) -> list[Aim]:
    beside = ((1.0, ("obstore",)), (2.0, ("rclone",)), (6.0, tuple(name for name in sdks if name not in AIOBOTO)))
    rates = [Aim(figure, least=least, beside=others) for figure in RATES for least, others in beside]
    return rates + [Aim(figure, most=most) for figure, most in zip(CPU, MOST_CPU, strict=True)]


def _turns(lab: Lab, kind: str, url: str, where: Sink, sdks: Mapping[str, str]) -> dict[str, Turn]:
    """Return the contenders; each writes as many objects as it can in about the same time."""
    many, few = lab.pick((1500, 400), (500, 150))
    ca_file = where.ca_file if url.startswith("https:") else ""
    trust = {"SSL_CERT_FILE": str(where.ca_file)}
    fast = {"obstore": "small_obstore", "rclone": "small_rclone", "wrk": "small_wrk"}
    if url.startswith("https:"):
        del fast["wrk"]  # it does not look at the certificate
    turns: dict[str, Turn] = {
        OURS: partial(lab.turn, "small_consignee", kind, url, many, ca_file, "uvloop"),
        WITHOUT_UVLOOP: partial(lab.turn, "small_consignee", kind, url, many, ca_file),
    }
    for clients, count in ((fast, many), (sdks, few)):
        for name, client in clients.items():
            turns[name] = partial(lab.turn, client, kind, url, count, ca_file, "uvloop", environment=trust)
    return turns
