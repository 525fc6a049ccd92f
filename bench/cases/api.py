"""The API on one core, asked by wrk: beside a handler of aiohttp that only sends bytes, and beside the same API in FastAPI."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from contest import OURS, Aim, Contest, Sample
from lab import CLIENTS, OTHERS_ON, OURS_ON, Lab
from sink import free_ports, wait_for

BARE, BARE_LOGGED = "bare aiohttp", "bare aiohttp, access log"
FASTAPI, FASTAPI_LOGGED = "FastAPI", "FastAPI, access log"
CONNECTIONS: Final = 32
PATIENCE: Final = 4
"""Times that a server which does not listen in time is waited for once more."""
SECONDS: Final = 1
"""Of a turn: the least that wrk takes."""
ACCOUNTS: Final[Mapping[str, int]] = {"ten": 10, "hundred": 100, "writer": 1}
FIELDS: Final = {
    "type": "s3",
    "name": "Reports",
    "enabled": False,
    "s3_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "s3_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "s3_bucket_name": "reports-of-a-customer",
    "s3_path_prefix": "exports/%COLLECTION_NAME%/%DATE%/%RESULT_SET_ID%",
}
SETTINGS: Final = """
[server]
port = {port}
[store]
path = "{home}/var"
[secrets]
key_file = "{home}/secret.key"
[limits]
destinations_per_account = 1000000
requests_per_second = 0
account_share = 1.0
"""
SCRIPT: Final = """
wrk.headers["Content-Type"] = "application/json"
local paths, number = {__PATHS__}, 0
local body = [[__BODY__]]
request = function()
  number = number + 1
  return wrk.format("__METHOD__", paths[number % #paths + 1], nil, (body:gsub("Reports", "Reports " .. number)))
end
"""
"""A name of its own in every body, and one path after the other: one destination takes one change at a time."""
REPORT: Final = """
done = function(summary)
  local wrong = summary.errors
  local failed = wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout
  io.write(string.format('{"count":%d,"seconds":%f,"failed":%d}\\n', summary.requests, summary.duration / 1e6, failed))
end
"""
PER_CPU_SECOND: Final = "requests per CPU second"
"""What the rate is on a core that is there for the server alone; steady also where it is not."""
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A contender that serves; `keys` and `ids` are those of its accounts and of their destinations."""

    process: subprocess.Popen[bytes]
    url: str
    keys: Mapping[str, str]
    ids: dict[str, list[str]] = field(default_factory=dict)

    def fill(self) -> None:
        """Give each account its destinations."""
        for account, count in ACCOUNTS.items():
            asked = ({**FIELDS, "name": f"Reports {number}"} for number in range(count))
            made = [json.loads(self.ask("POST", "/destinations", account, one)) for one in asked]
            self.ids[account] = [one["destination"]["id"] for one in made]

    def ask(self, method: str, path: str, account: str, content: Mapping[str, Any] | None = None) -> bytes:
        """Return the body of the answer."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            self.at(path, account), body, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    def at(self, path: str, account: str) -> str:
        """Return the URL of a path, for that account."""
        return f"{self.url}{path}{'&' if '?' in path else '?'}api_key={self.keys[account]}"

    def cpu(self) -> float:
        """Return the CPU seconds that the process has used."""
        found = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(found[11]) + int(found[12])) / TICKS

    def memory(self) -> float:
        """Return the most memory that it has used, in MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


Servers = Mapping[str, Server]


def contests(lab: Lab) -> Iterator[Contest]:
    """Return the contests of reading, then those of writing."""
    servers: Servers = lab.shared(serving)

    def contest(what: str, path: str, bare: str, account: str, *aims: Aim, method: str = "GET") -> Contest:
        turns = {}
        for name, server in servers.items():
            if what == "get" or name not in (BARE_LOGGED, FASTAPI_LOGGED):
                its = bare if name in (BARE, BARE_LOGGED) else path
                turns[name] = partial(asked, lab, server, account, method, its)
        title = f"API, {what}: {CONNECTIONS} connections, one core"
        return Contest(title, "request", turns, aims, note=NOTE)

    read = (Aim(PER_CPU_SECOND, least=0.8, beside=(BARE,)), Aim(PER_CPU_SECOND, least=1.5, beside=(FASTAPI,)))
    write = (Aim(PER_CPU_SECOND, least=1.1, beside=(FASTAPI,)),)
    yield contest("get", "/destinations/{id}", "/destinations/{id}", "ten", *read)
    yield contest("list of 10", "/destinations", "/destinations", "ten", *read)
    yield contest("list of 100", "/destinations?page_size=100", "/hundred?page_size=100", "hundred", *read)
    yield contest("create, durable", "/destinations", "/destinations", "writer", *write, method="POST")
    yield contest("update, durable", "/destinations/{id}", "/destinations/{id}", "hundred", *write, method="PUT")


NOTE: Final = (
    "consignee as `serve` starts it: access log, API keys, all checks; the aims are against the others without an access log. "
    "Bare aiohttp checks nothing, keeps nothing, and sends bytes that lie there already."
)


def asked(lab: Lab, server: Server, account: str, method: str, path: str) -> Sample:
    """Let wrk ask for a second; return what the server did."""
    script = lab.memory / "ask.lua"
    paths = [server.at(path.replace("{id}", one), account) for one in server.ids[account]]
    script.write_text(_script(method, paths) + REPORT)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", str(script), paths[0]]
    used = server.cpu()
    told = json.loads(lab.run(command, core=OTHERS_ON).splitlines()[-1])
    if told["failed"]:
        raise ValueError(f"{told['failed']} of {told['count']} requests failed: {method} {path}")
    used = server.cpu() - used
    return Sample(
        told["count"] / told["seconds"],
        cpu=used / max(told["count"], 1),
        memory=server.memory(),
        more={PER_CPU_SECOND: told["count"] / max(used, 1 / TICKS)},
    )


def _script(method: str, urls: Sequence[str]) -> str:
    if method == "GET":
        return ""
    paths = ", ".join(f'"{url[url.index("/", len("http://")) :]}"' for url in urls)
    body = json.dumps({"name": "Reports"} if method == "PUT" else FIELDS)
    return SCRIPT.replace("__PATHS__", paths).replace("__METHOD__", method).replace("__BODY__", body)


def serving(lab: Lab) -> Iterator[Servers]:
    """Yield all servers, each with its destinations; for `Lab.shared`."""
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(_ours(lab))}
        servers[OURS].fill()
        answers = lab.memory / "answers"
        answers.mkdir()
        for name, path in {"get": "/destinations/" + servers[OURS].ids["ten"][0], "ten": "/destinations"}.items():
            (answers / name).write_bytes(servers[OURS].ask("GET", path, "ten"))
        (answers / "hundred").write_bytes(servers[OURS].ask("GET", "/destinations?page_size=100", "hundred"))
        for name, access in {BARE: [], BARE_LOGGED: ["access"]}.items():
            servers[name] = stack.enter_context(_peer(lab, "api_bare", answers, access))
            servers[name].ids |= servers[OURS].ids
        for name, access in {FASTAPI: [], FASTAPI_LOGGED: ["access"]}.items():
            servers[name] = stack.enter_context(_peer(lab, "api_fastapi", lab.disk, access))
            servers[name].fill()
        yield servers


@contextmanager
def _ours(lab: Lab) -> Iterator[Server]:
    home = lab.disk / "api"
    home.mkdir()
    (port,) = free_ports(1)
    configuration = home / "consignee.toml"
    configuration.write_text(SETTINGS.format(port=port, home=home))
    command = [str(Path(sys.executable).parent / "consignee")]
    config = ["--config", str(configuration)]
    keys = {name: lab.run([*command, "keys", *config, "create", "--account", name]).strip() for name in ACCOUNTS}
    with _started([*command, "serve", *config], lab.memory / "consignee.log") as process:
        _await(port)
        yield Server(process, f"http://127.0.0.1:{port}", keys)


@contextmanager
def _peer(lab: Lab, client: str, directory: Path, more: list[str]) -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [sys.executable, str(CLIENTS / f"{client}.py"), str(port), str(directory), *more]
    with _started(command, lab.memory / f"{client}-{port}.log") as process:
        _await(port)
        yield Server(process, f"http://127.0.0.1:{port}", {name: f"{name}-key" for name in ACCOUNTS})


def _await(port: int) -> None:
    """Return once somebody listens, which takes long on a machine that has much else to do. Raises TimeoutError."""
    for _ in range(PATIENCE):
        with suppress(TimeoutError):
            wait_for(port)
            return
    wait_for(port)


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        pinned = ["taskset", "-c", str(OURS_ON), *command]
        process = subprocess.Popen(pinned, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
