"""Starting the S3 server with policies."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consignee.demo.storage import Program, StorageServer
from fakes import moto_iam


@dataclass(frozen=True)
class PolicyServer:
    """moto with its access rules on: `users` maps writer, nodelete and nobody to (access key id, secret).

    `server` is for looking into it; there a user is named by its access key id.
    """

    url: str
    region: str
    bucket: str
    users: Mapping[str, tuple[str, str]]
    server: StorageServer


@contextmanager
def policy_process() -> Iterator[PolicyServer]:
    """Run it in a process of its own, as moto reaches deep into whatever process it is in."""
    program = Program([sys.executable, "-P", str(Path(moto_iam.__file__))])
    try:
        secrets = dict(moto_iam.USERS.values())
        server = StorageServer(program.ready()["url"], None, moto_iam.REGION, secrets)
        yield PolicyServer(server.url, server.region, moto_iam.BUCKET, moto_iam.USERS, server)
    finally:
        program.stop()
