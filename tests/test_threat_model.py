"""The threat model is held to the tests that it names, and what no other test shows is shown here."""

import ast
import re
import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from consignee.accounts import open_accounts
from consignee.egress import Policy, open_session
from consignee.secret import Sealer
from consignee.settings import Settings
from consignee.store.memory import MemoryStore
from pages import ROOT, rows

ROWS: Final = list(rows("docs/threat-model.md", "OWASP ASVS 5.0.0"))
APP: Final = ROOT / "app" / "consignee"
FORBIDDEN: Final = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.execv",
    "pickle",
    "marshal",
    "shelve",
    "yaml",
    "xml.sax",
    "subprocess.getoutput",
    "asyncio.create_subprocess_shell",
}
"""What runs, or makes objects of, whatever it is given."""


@cache
def named_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def is_there(named: str) -> bool:
    """Whether there is such a test: its file, two colons, its name."""
    path, _, test = named.partition("::")
    return (ROOT / path).is_file() and test in named_in(ROOT / path)


def sources() -> Iterator[Path]:
    """Yield the modules of the package but for the demo, which is never part of a service."""
    yield from (path for path in APP.rglob("*.py") if "demo" not in path.parts)


def used(path: Path) -> Iterator[str]:
    """Yield all names that a module calls, and all modules that it imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            yield from ("a shell" for keyword in node.keywords if keyword.arg == "shell")
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = [shown for *_, shown in ROWS if shown]
    assert [test for test in named if not is_there(test)] == []
    assert len(named) >= 50


def test_a_test_that_is_gone_would_be_noticed() -> None:
    here = "tests/test_threat_model.py::test_a_test_that_is_gone_would_be_noticed"
    assert is_there(here)
    assert not any(map(is_there, (here + "_soon", here.replace("model", "muddle"), here.split("::")[0])))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_requirement_is_shown_or_it_is_said_what_is_missing(row: list[str]) -> None:
    """Nothing holds because somebody says so."""
    number, requirement, held, shown = row
    assert re.fullmatch(r"V(1[0-7]|[1-9])\.\d+\.\d+", number) and requirement
    assert re.match(r"yes|(partly|no|n/a|embedder's): \S", held)
    assert shown or not held.startswith(("yes", "partly")) or held == "yes: above"


def test_requirements_are_in_order_and_each_is_there_once() -> None:
    numbers = [tuple(map(int, row[0].removeprefix("V").split("."))) for row in ROWS]
    assert numbers == sorted(set(numbers))


def test_it_is_short_and_others_lead_to_it() -> None:
    assert len((ROOT / "docs" / "threat-model.md").read_text().splitlines()) < 250
    assert all("docs/threat-model.md" in (ROOT / page).read_text() for page in ("README.md", "SECURITY.md"))


def test_no_shell_no_eval_no_pickle() -> None:
    found = {f"{path.relative_to(APP)}: {name}" for path in sources() for name in used(path) if name in FORBIDDEN}
    assert found == set()
    assert "a shell" not in {name for path in sources() for name in used(path)}


def test_what_is_forbidden_would_be_noticed(tmp_path: Path) -> None:
    module = tmp_path / "bad.py"
    module.write_text("import pickle\nfrom marshal import loads\neval('1')\nrun('x', shell=True)\n")
    assert FORBIDDEN & set(used(module)) == {"pickle", "marshal", "eval"}
    assert "a shell" in used(module)


def test_no_header_of_a_proxy_is_read() -> None:
    """An address in a header is whatever the client wrote there."""
    named = re.compile(r"forwarded|x-real-ip|client-ip|remote-addr", re.IGNORECASE)
    assert [path for path in sources() if named.search(path.read_text())] == []


@pytest.mark.parametrize("key", ["", "admin", "root", "demo", "consignee", "csg_00000000_" + "A" * 43])
async def test_nobody_has_an_account_from_the_start(key: str) -> None:
    store = MemoryStore()
    await store.open()
    accounts = await open_accounts(store, sealer=Sealer(bytes(32)), fixed=Settings().accounts.fixed)
    assert await accounts.list_keys() == []
    assert await accounts.authenticate(key) is None


async def test_no_older_tls_is_spoken() -> None:
    """To storages and webhooks, and there is no setting that changes it."""
    async with open_session(Policy()) as session:
        context = session.connector._ssl  # type: ignore[union-attr]
    assert isinstance(context, ssl.SSLContext)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
