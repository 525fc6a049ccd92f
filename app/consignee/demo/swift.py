"""An S3 server on loopback: OpenStack Swift in one unprivileged process, `python -m consignee.demo.swift`.

It checks signatures, payload hashes, clocks and regions as a storage service does. Objects are kept in
memory; what little is on disk goes when it ends. A process of its own: eventlet replaces sockets, threads.
"""

import argparse
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

BACKENDS: Final = ("account", "container", "object")
EXIT_NOT_INSTALLED: Final = 69  # EX_UNAVAILABLE of sysexits.h
_LOOPBACK: Final = "127.0.0.1"

App = Callable[[dict[str, Any], Callable[..., Any]], Any]

_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = consignee
swift_hash_path_suffix = demo
[storage-policy:0]
name = memory
default = yes
"""

# The time limits are generous: on a busy machine the usual ones (half a second to connect, one second to
# enter an object in its bucket's listing) make a healthy server forget objects and answer 503.
_DEFAULT = """\
[DEFAULT]
swift_dir = {etc}
devices = {devices}
mount_check = false
fallocate_reserve = 0
conn_timeout = 10
node_timeout = 30
container_update_timeout = 30
error_suppression_limit = 1000000
"""

_BACKEND = """\
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{egg}
"""

# Of uploads in parts: small ones, so that tests are quick, as many as Amazon takes, and read without a pause of a
# second after each, which is usual from the tenth on.
_PROXY = """\
[pipeline:main]
pipeline = catch_errors gatekeeper s3api tempauth nodelete slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:s3api]
use = egg:swift#s3api
location = {region}
storage_domain = {domain}
min_segment_size = 1
max_upload_part_num = 10000
[filter:nodelete]
paste.filter_factory = consignee.demo.swift:nodelete_filter
users = {nodelete}
[filter:slo]
use = egg:swift#slo
rate_limit_segments_per_sec = 10000
max_manifest_segments = 10000
[filter:tempauth]
use = egg:swift#tempauth
{users}
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; ends the program with status 2 if one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m consignee.demo.swift", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0, the default: a free one; the ready line says which")
    add("--tls-port", type=int, help="serve https there as well; needs --cert and --key")
    add("--cert", help="PEM file of the certificate and its chain")
    add("--key", help="PEM file of its private key")
    add("--region", default="us-east-1")
    add("--domain", default="s3.localhost", help="bucket.DOMAIN is the bucket's virtual host")
    add("--user", type=_user, action="append", required=True, metavar="ACCOUNT:USER=SECRET")
    add("--nodelete", action="append", default=[], metavar="ACCOUNT:USER", help="may put, but not delete")
    add("--dir", type=_empty, help="work directory, empty, removed at the end; default: a temporary one")
    add("--until-eof", action="store_true", help="end when standard input does, hence with the parent")
    options = parser.parse_args(argv)
    if options.tls_port is not None and not (options.cert and options.key):
        parser.error("--tls-port needs --cert and --key")
    return options


def _user(text: str) -> tuple[str, str]:
    name, _, secret = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9.-]+:[A-Za-z0-9.-]+", name) or not re.fullmatch(r"[!-~]+", secret):
        raise argparse.ArgumentTypeError("not of the form account:user=secret")
    return name, secret


def _empty(text: str) -> Path:
    path = Path(text)
    if not path.is_dir() or any(path.iterdir()):
        raise argparse.ArgumentTypeError("not an empty directory")
    return path


def nodelete_filter(_global: dict[str, str], *, users: str = "", **_local: str) -> Callable[[App], App]:
    """Return a filter that refuses DELETE to `users`, but lets them complete their multipart uploads."""
    refused = set(users.split())

    def wrap(app: App) -> App:
        def call(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            groups = (environ.get("REMOTE_USER") or "").split(",")
            if _removes_an_object(environ) and not refused.isdisjoint(groups):
                start("403 Forbidden", [("Content-Length", "0")])
                return [b""]
            return app(environ, start)

        return call

    return wrap


def _removes_an_object(environ: dict[str, Any]) -> bool:
    # Swift keeps the parts of an unfinished upload in a second container of this name.
    container = (environ.get("PATH_INFO", "").split("/") + [""] * 4)[3]
    return environ["REQUEST_METHOD"] == "DELETE" and not container.endswith("+segments")


def serve(options: argparse.Namespace, work: Path) -> None:
    """Serve on loopback, print the ready line, and return when told to end."""
    import eventlet

    etc = _prepare(work)
    for name in BACKENDS:
        listener = eventlet.listen((_LOOPBACK, 0), backlog=1024)
        _save_ring(etc, name, listener.getsockname()[1])
        egg = "mem_object" if name == "object" else name
        _spawn(_load(work, name, _BACKEND.format(name=name, egg=egg)), listener)
    proxy = _load(work, "proxy", _proxy_conf(options))
    ready = {"region": options.region, "url": _listen(proxy, options.port), "tls_url": None}
    if options.tls_port is not None:
        ready["tls_url"] = _listen(proxy, options.tls_port, certfile=options.cert, keyfile=options.key)
    ended = _end_on(sys.stdin.fileno() if options.until_eof else None)
    print(json.dumps(ready), flush=True)
    ended()


def _prepare(work: Path) -> Path:
    import swift.common.utils
    from swift.common import storage_policy

    etc = work / "etc"
    etc.mkdir()
    (work / "devices" / "d1").mkdir(parents=True)
    (etc / "swift.conf").write_text(_SWIFT)
    swift.common.utils.monkey_patch()
    swift.common.utils.set_swift_dir(str(etc))
    storage_policy.reload_storage_policies()
    return etc


def _save_ring(etc: Path, name: str, port: int) -> None:
    from swift.common.ring import RingBuilder

    builder = RingBuilder(0, 1, 0)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": _LOOPBACK, "port": port, "device": "d1", "weight": 1.0}
        | {"replication_ip": _LOOPBACK, "replication_port": port, "meta": ""}
    )
    builder.rebalance()
    builder.get_ring().save(str(etc / f"{name}.ring.gz"))


def _proxy_conf(options: argparse.Namespace) -> str:
    def line(name: str, secret: str) -> str:
        return f"user_{name.replace(':', '_')} = {secret} .admin"

    return _PROXY.format(
        region=options.region,
        domain=options.domain,
        nodelete=" ".join(options.nodelete),
        users="\n".join(line(name, secret) for name, secret in options.user),
    )


def _load(work: Path, name: str, conf: str) -> App:
    from swift.common.wsgi import loadapp

    file = work / "etc" / f"{name}.conf"
    file.touch(mode=0o600)
    file.write_text(_DEFAULT.format(etc=work / "etc", devices=work / "devices") + conf)
    app: App = loadapp(str(file), global_conf={"log_name": name}, allow_modify_pipeline=name == "proxy")
    return app


def _listen(app: App, port: int, **tls: str) -> str:
    import eventlet

    listener = eventlet.listen((_LOOPBACK, port), backlog=1024)
    host, port = listener.getsockname()
    _spawn(app, eventlet.wrap_ssl(listener, server_side=True, **tls) if tls else listener)
    return f"{'https' if tls else 'http'}://{host}:{port}"


def _spawn(app: App, listener: Any) -> None:
    import eventlet.wsgi
    from swift.common.wsgi import SwiftHttpProtocol

    # S3 clients look for ETag, not Etag: headers keep the case that they were given.
    settings = {"protocol": SwiftHttpProtocol, "capitalize_response_headers": False, "socket_timeout": 60}
    eventlet.spawn(eventlet.wsgi.server, listener, app, log_output=False, **settings)


def _end_on(stdin: int | None) -> Callable[[], None]:
    """Return a function that waits for SIGTERM, SIGINT or, if given, the end of `stdin`."""
    import eventlet
    from eventlet.hubs import trampoline

    # A signal writes a byte here; an exception out of its handler would end whichever green thread runs.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def drain(descriptor: int) -> None:
        trampoline(descriptor, read=True)
        while os.read(descriptor, 4096):
            trampoline(descriptor, read=True)
        os.write(writer, b"\0")

    if stdin is not None:
        eventlet.spawn(drain, stdin)
    return lambda: trampoline(reader, read=True)


def main() -> int:
    """Run until told to end; return the exit status."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until serve() has its own
    logging.disable()  # swift logs to syslog
    warnings.simplefilter("ignore")  # eventlet's, of the header case
    work = options.dir or Path(tempfile.mkdtemp(prefix="consignee-"))
    try:
        serve(options, work)
    except ImportError as error:
        print(error, file=sys.stderr)
        return EXIT_NOT_INSTALLED
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
