"""nginx with the configuration of docs/install.md, before a real server: what comes through, and what is logged."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import requests

from canaries import API_KEY
from fakes.certificates import Authority
from installation.test_install_page import block
from samples.serving import Serving, serving, write_config

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
WHOLE = """\
daemon off; master_process off; pid {directory}/pid; error_log {directory}/main.log;
events {{}}
http {{
    client_body_temp_path {directory}/bodies; proxy_temp_path {directory}/answers;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
{block}
}}
"""
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


@dataclass(frozen=True)
class Proxied:
    """A server behind nginx: its port there, the server itself, and nginx's directory."""

    port: int
    ca: Authority
    server: Serving
    directory: Path
    session: requests.Session

    def logged(self) -> str:
        """What nginx has logged so far."""
        return "".join(path.read_text() for path in self.directory.glob("*.log"))


def free_port() -> int:
    """Return a port that was free a moment ago: nginx does not say which one it took."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def configuration(directory: Path, ca: Authority, *, port: int, upstream: str) -> Path:
    """Write the page's configuration with the places and ports of this test."""
    text = block("nginx").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("http://127.0.0.1:8080", upstream).replace("/var/log/nginx", str(directory))
    text = text.replace("/etc/ssl/files.example.com.pem", str(ca.cert)).replace(
        "/etc/ssl/files.example.com.key", str(ca.key)
    )
    path = directory / "nginx.conf"
    path.write_text(WHOLE.format(directory=directory, block=text))
    return path


def wait_for(port: int) -> None:
    """Return when somebody listens there; fails after a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("nginx did not come up")


@pytest.fixture
def proxied(tmp_path: Path, ca: Authority) -> Iterator[Proxied]:
    """A server behind nginx, over TLS."""
    directory, port = tmp_path / "nginx", free_port()
    directory.mkdir()
    with serving(write_config(tmp_path, accounts={"ann": API_KEY})) as server, requests.Session() as session:
        session.trust_env, session.verify = False, str(ca.pem)
        config = configuration(directory, ca, port=port, upstream=server.url)
        command = [str(NGINX), "-e", str(directory / "start.log"), "-p", str(directory), "-c", str(config)]
        with subprocess.Popen(command) as nginx:
            try:
                wait_for(port)
                yield Proxied(port, ca, server, directory, session)
            finally:
                nginx.terminate()


def status_of(proxied: Proxied, target: str) -> int:
    """Return what a GET is answered; urllib3 would log the target."""
    connection = HTTPSConnection("127.0.0.1", proxied.port, timeout=60, context=proxied.ca.client_context())
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()


def test_files_go_through_and_are_kept_nowhere_on_the_way(proxied: Proxied) -> None:
    """8 MiB, more than nginx holds in memory, there and back."""
    session, url = proxied.session, f"https://127.0.0.1:{proxied.port}"
    session.headers["Authorization"] = f"Bearer {API_KEY}"
    made = session.post(f"{url}/collections", json={"name": "C", "destination_ids": []}, timeout=60).json()
    path = f"{url}/collections/{made['collection']['id']}/results"
    content = bytes(range(256)) * 32768
    assert session.post(path, files={"file": ("a.bin", content)}, timeout=60).status_code == 200
    assert session.get(f"{path}/1/files/a.bin", timeout=60).content == content
    assert [
        kept for place in ("bodies", "answers") for kept in (proxied.directory / place).rglob("*") if kept.is_file()
    ] == []
    assert "buffered to a temporary file" not in proxied.logged()


def test_a_key_in_the_query_string_is_in_no_log(proxied: Proxied) -> None:
    """Neither of a request that is answered, nor of one that fails because the server is gone."""
    assert status_of(proxied, f"/account?api_key={API_KEY}") == 200
    proxied.server.kill()
    assert status_of(proxied, f"/destinations?api_key={API_KEY}") == 502
    logged = proxied.logged()
    assert "GET /account" in logged and "GET /destinations" in logged
    assert API_KEY not in logged and "api_key" not in logged
