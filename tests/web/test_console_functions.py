"""The functions of the console that need no page: run by node's own test runner, and compared with the service's."""

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from consignee.delivery.delivery import STATUSES, delivery_id
from consignee.delivery.file_names import problem

TESTS: Final = Path(__file__).with_name("console")
NAMES: Final = (
    *("a.csv", "über.csv", "日本語.txt", "a b", " a ", ".hidden", "...", "a%22b", "emoji 🎉.png", "x" * 255),
    *(
        "",
        " ",
        "\u3000",
        "\ufeff",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "x" * 256,
        "é" * 128,
    ),
    *(
        "\uff0e\uff0e",
        "\u2025",
        "\uff0f",
        "a\uff3cb",
        "\ufe68",
        "a\ufffeb",
        "a\uffffb",
        "\u2026",
        "cafe\u0301",
        "\u2024",
    ),
)
"""Names of files, good and bad; JSON holds no lone surrogates, and browsers send none."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the modules and their tests, marked as what they are: older nodes take .js for CommonJS."""
    console = tmp_path / "app" / "consignee" / "console"
    console.mkdir(parents=True)
    for one in files("consignee").joinpath("console").iterdir():
        if one.name.endswith(".js"):
            (console / one.name).write_bytes(one.read_bytes())
    shutil.copytree(TESTS, tmp_path / "tests" / "web" / "console")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def node(*arguments: str, cwd: Path) -> str:
    """Return what node prints; skips where there is no node, but not where everything has to run."""
    program = shutil.which("node")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    environment = {"PATH": os.environ["PATH"], "TZ": "Europe/Berlin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_functions_of_the_console_do_what_their_own_tests_say(project: Path) -> None:
    """Every file of tests runs: a runner that finds none would end well too."""
    tests = sorted(str(one.relative_to(project)) for one in (project / "tests").rglob("*.test.js"))
    told = node("--test", "--test-reporter=tap", *tests, cwd=project)
    passed = int(told.rpartition("# pass ")[2].split()[0])
    assert len(tests) == 2
    assert passed >= 25, told


def test_a_name_is_refused_before_the_upload_if_the_service_would_refuse_it(project: Path) -> None:
    script = 'import { problem } from "./app/consignee/console/file-names.js"; '
    script += f"console.log(JSON.stringify({json.dumps(NAMES)}.map((name) => problem(name) !== null)))"
    refused = dict(zip(NAMES, json.loads(node("--input-type=module", "--eval", script, cwd=project)), strict=True))
    assert refused == {name: problem(name) is not None for name in NAMES}


def test_the_console_has_a_word_for_every_status_and_makes_ids_as_the_service_does(project: Path) -> None:
    script = 'import { STATUSES } from "./app/consignee/console/progress.js"; '
    script += 'import { deliveryId } from "./app/consignee/console/catalog.js"; '
    script += 'console.log(JSON.stringify([Object.keys(STATUSES), deliveryId("5C1D90E7", 3, "159F123B")]))'
    statuses, made = json.loads(node("--input-type=module", "--eval", script, cwd=project))
    assert sorted(statuses) == sorted(STATUSES)
    assert made == delivery_id("5C1D90E7", 3, "159F123B")
