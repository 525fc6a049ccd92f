"""What the house promises about its own shape."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

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
        "postgres",
        "queue",
        "rules",
        "sections",
        "setting",
        "settings",
        "staging_section",
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
        "precedent",
        "precedents",
        "idempotency",
        "renewal",
        "bygones",
        "tenure",
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
        "copying",
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


@cache
def tree_of(path: Path) -> ast.Module:
    """Return what a module says."""
    return ast.parse(path.read_text())


def imports(path: Path, *, at_start: bool) -> Iterator[str]:
    """Yield the full names that a module imports; `at_start` leaves out what is imported inside functions."""
    tree = tree_of(path)
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


def test_imports_point_one_way() -> None:
    """web -> service -> providers, store -> what they all use."""
    wrong = [
        f"{name_of(path)} must not import {name}"
        for path in MODULES
        for name in imports(path, at_start=True)
        if name.startswith("consignee.") and name != "consignee.__version__" and name_of(path) != "consignee"
        if layer(name) > layer(name_of(path))
    ]
    assert wrong == []


def test_only_web_knows_the_web_framework() -> None:
    others = [path for path in MODULES if "web" not in path.relative_to(ROOT).parts]
    assert len(others) > 100
    assert [name_of(path) for path in others if any(map(_is_web, imports(path, at_start=True)))] == []


def _is_web(name: str) -> bool:
    return name.startswith("aiohttp.web")


def test_only_the_settings_read_the_environment() -> None:
    """The demo hands its environment on to the server that it starts; it reads nothing from it."""
    reading = {name_of(path) for path in MODULES if re.search(r"os\.environ|getenv", path.read_text())}
    assert reading <= {"consignee.settings", "consignee.commands.demo"}


def test_vendors_sdks_are_imported_only_when_they_are_needed() -> None:
    sdks = {"botocore", "aiobotocore", "boto3", "gcloud", "azure", "oss2", "swift", "eventlet", "asyncpg"}
    needed = {path: {name.split(".")[0] for name in imports(path, at_start=True)} for path in MODULES}
    assert [name_of(path) for path, names in needed.items() if names & sdks] == []


def test_modules_and_functions_can_be_read_in_one_look() -> None:
    long = [name_of(path) for path in MODULES if path.read_text().count("\n") > 300]
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                long += [f"{name_of(path)}: {node.name}"] if (node.end_lineno or 0) - node.lineno >= 50 else []
    assert long == []


def needed_at_start(path: Path) -> set[str]:
    """Return which of our modules a module needs to be imported, but for the packages that it is in: these are there by then."""
    ours = {name_of(module) for module in MODULES}
    names = {name if name in ours else name.rpartition(".")[0] for name in imports(path, at_start=True)} & ours
    around = {parent for name in names for parent in _packages(name)} - {*_packages(name_of(path))}
    return (names | around) - {name_of(path)}


def _packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def test_imports_go_in_no_circle() -> None:
    """So that every module imports alone: whichever is the first, what it needs is there when it needs it."""
    order = [*TopologicalSorter({name_of(path): needed_at_start(path) for path in MODULES}).static_order()]
    assert len(order) == len(MODULES), "a CycleError names the circle"
    assert order.index("consignee.errors") < order.index("consignee.store.json_file") < order.index("consignee.web")


def test_every_module_imports() -> None:
    """In a process of its own, which has none of them yet; those first that need the most."""
    graph = {name_of(path): needed_at_start(path) for path in MODULES if path.name != "__main__.py"}
    names = [*TopologicalSorter(graph).static_order()][::-1]
    program = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
