"""nginx as the sink for uploads: it takes a body of any size, and answers with an ETag, on http and on https."""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from lab import OTHERS_ON, Lab

HOSTS: Final = ("localhost", "127.0.0.1")
READY_SECONDS: Final = 10.0

CONFIGURATION: Final = """
worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {home}/bodies;
    proxy_temp_path {home}/proxied;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 256k;
    keepalive_requests 1000000000;
    ssl_certificate {home}/server.pem;
    ssl_certificate_key {home}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;

    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl;
        {locations}
    }}
}}
"""
LOCATIONS: Final = """
        root {home}/files;
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
            add_header ETag '"00000000000000000000000000000000"' always;
        }}
"""


@dataclass(frozen=True)
class Sink:
    """Where uploads go: nginx on tmpfs."""

    http: str
    https: str
    ca_file: Path
    home: Path


def sink(lab: Lab) -> Iterator[Sink]:
    """Yield the sink; for `Lab.shared`."""
    yield from serving(lab, "sink", LOCATIONS)


def serving(lab: Lab, name: str, locations: str) -> Iterator[Sink]:
    """Yield a sink of its own with these locations, which may name its `{home}`."""
    home = lab.memory / name
    (home / "files").mkdir(parents=True)
    home.chmod(0o755)
    ca = trustme.CA()
    certificate = ca.issue_cert(*HOSTS, "*.localhost")
    (home / "server.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (home / "server.key").write_bytes(certificate.private_key_pem.bytes())
    ca.cert_pem.write_to_path(str(home / "ca.pem"))
    http, https = free_ports(2)
    configuration = home / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    placed = locations.format(home=home)
    configuration.write_text(user + CONFIGURATION.format(home=home, http=http, https=https, locations=placed))
    server = subprocess.Popen(["taskset", "-c", str(OTHERS_ON), "nginx", "-c", str(configuration), "-e", "stderr"])
    try:
        wait_for(http)
        yield Sink(f"http://127.0.0.1:{http}", f"https://localhost:{https}", home / "ca.pem", home)
    finally:
        server.terminate()
        server.wait(10)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(port: int) -> None:
    """Return once somebody listens. Raises TimeoutError."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 1).close()
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return a TLS context for the sink."""
    return ssl.create_default_context(cafile=str(ca_file))
