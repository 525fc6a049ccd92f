"""moto with its access rules on, as a program: prints a line of JSON when ready, and ends with its input.

It checks signatures, key ids and policies; not the payload's hash, the clock or the region.
"""

import json
import logging
import sys
from typing import Any, Final

from canaries import S3_SECRET

REGION: Final = "us-east-1"
BUCKET: Final = "demo-bucket"
ACCOUNT: Final = "123456789012"
USERS: Final = {
    "writer": ("AKIAWRITERWRITERWRIT", S3_SECRET),
    "nodelete": ("AKIANODELETENODELETE", "nodelete-secret"),
    "nobody": ("AKIANOBODYNOBODYNOBO", "nobody-secret"),
    "least": ("AKIALEASTLEASTLEASTL", "least-secret"),
}
LEAST_PREFIX: Final = "exports/%DATE%/of a customer"
_ALL: Final = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
_NO_DELETE: Final = {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}
_STATEMENTS: Final = {"writer": [_ALL], "nodelete": [_ALL, _NO_DELETE], "nobody": []}


def serve() -> None:
    """Serve on a free port until standard input ends."""
    from moto import settings
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    _add_users()
    _add_bucket()
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from here on every request needs its rights
    print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)  # noqa: T201
    sys.stdin.buffer.read()


def _add_users() -> None:
    from moto.iam.models import iam_backends

    statements = {**_STATEMENTS, "least": [_least()]}
    backend = iam_backends[ACCOUNT]["aws"]
    for name, (key_id, secret) in USERS.items():
        backend.create_user(REGION, name)
        key = backend.create_access_key(name)
        key.access_key_id, key.secret_access_key = key_id, secret
        if statements[name]:
            document = {"Version": "2012-10-17", "Statement": statements[name]}
            backend.put_user_policy(name, "rights", json.dumps(document))


def _least() -> Any:
    """What `GET /destinations/{id}/policy` says is enough."""
    from consignee.destination import Draft
    from consignee.providers.s3 import policy

    settings = {"s3_bucket_name": BUCKET, "s3_path_prefix": LEAST_PREFIX}
    (statement,) = policy(Draft(type="s3", name="", enabled=True, settings=settings, secrets={}))["Statement"]
    return statement


def _add_bucket() -> None:
    from moto.s3.models import s3_backends

    backend: Any = s3_backends[ACCOUNT]["aws"]
    backend.create_bucket(BUCKET, REGION)


if __name__ == "__main__":
    serve()
