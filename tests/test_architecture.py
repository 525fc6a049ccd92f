"""What the house promises about its own shape."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "app" / "consignee"
MODULES = sorted(ROOT.rglob("*.py"))
LAYERS = [
    {
        "addresses",
        "errors",
        "secret",
        "path_prefix",
        "body",
        "carriage",
        "digests",
        "endpoint",
        "clock",
        "ending",
        "control",
        "hardening",
        "rates",
        "log",
        "agenda",
        "turns",
        "phases",
        "prompt",
        "tracing",
        "events",
        "subject",
    },
    {
        "store",
        "queue",
        "rules",
        "sections",
        "settings",
        "client",
        "egress",
        "proxy",
        "names",
        "receiving",
        "passage",
        "sealed",
        "destination",
    },
    {
        "transport",
        "accounts",
        "pepper",
        "key_ring",
        "resealing",
        "sealing_key",
        "rotation",
        "leftovers",
        "health",
        "listing",
        "precedents",
        "idempotency",
    },
    {"providers", "catalog", "verification", "outlets"},
    {
        "removal",
        "collection",
        "collections",
        "tester",
        "service",
        "reverification",
        "delivery",
        "backups",
        "opening",
        "metrics",
    },
    {"web", "console"},
    {"demo", "commands", "cli", "__main__", "testing"},
]


def name_of(path: Path) -> str:
    """Return a module's dotted name."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, at_start: bool) -> Iterator[str]:
    """Yield the full names that a module imports; `at_start` leaves out what is imported inside functions."""
    tree = ast.parse(path.read_text())
    nodes = list(tree.body) if at_start else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    """Return on which layer a module of ours lies."""
    room = name.split(".")[1] if "." in name else name
    found = [number for number, rooms in enumerate(LAYERS) if room in rooms]
    assert found, f"{name} has no layer yet"
    return found[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    """web -> service -> providers, store -> what they all use."""
    ours = name_of(path)
    if ours == "consignee":
        return
    for name in imports(path, at_start=True):
        if name.startswith("consignee.") and name.split(".")[1] not in ("__version__",):
            assert layer(name) <= layer(ours), f"{ours} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_web_knows_the_web_framework(path: Path) -> None:
    if "web" not in path.relative_to(ROOT).parts:
        assert not [name for name in imports(path, at_start=True) if name.startswith("aiohttp.web")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    """The demo hands its environment on to the server that it starts; it reads nothing from it."""
    if name_of(path) not in ("consignee.settings", "consignee.commands.demo"):
        assert "os.environ" not in path.read_text()
        assert "getenv" not in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_vendors_sdks_are_imported_only_when_they_are_needed(path: Path) -> None:
    sdks = ("botocore", "aiobotocore", "boto3", "gcloud", "azure", "oss2", "swift", "eventlet")
    assert not [name for name in imports(path, at_start=True) if name.split(".")[0] in sdks]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_can_be_read_in_one_look(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_every_module_imports_alone() -> None:
    """One process for all, each module in an interpreter state without ours."""
    names = [name_of(path) for path in MODULES if path.name != "__main__.py"]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for loaded in [one for one in sys.modules if one.split('.')[0] == 'consignee']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
