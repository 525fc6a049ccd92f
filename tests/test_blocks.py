"""Every block of code in the documentation is run, or held to what there is; one that nothing looks at fails here."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml

from consignee import cli
from consignee.settings import load_settings
from consignee.web.routes import PAGES as BROWSED
from consignee.web.routes import ROUTES
from pages import BLOCKS, EXAMPLES, PAGES, ROOT

RUN: Final = {
    ("README.md", "sh"): "tests/test_examples.py",
    ("docs/tutorial.md", "sh"): "tests/test_tutorial.py",
    ("docs/tutorial.md", "toml"): "tests/test_tutorial.py",
    ("docs/backup.md", "sh"): "tests/test_operating.py",
    ("docs/secrets.md", "sh"): "tests/test_operating.py",
    ("docs/store.md", "sh"): "tests/test_operating.py",
    ("docs/command-line.md", "sh"): "tests/commands/test_page.py",
    ("docs/monitoring.md", "yaml"): "tests/test_monitoring.py",
    ("docs/install.md", "sh"): "tests/installation/test_install_page.py",
    ("docs/install.md", "nginx"): "tests/installation/test_proxies.py",
    ("docs/install.md", "caddyfile"): "tests/installation/test_proxies.py",
    ("docs/operations.md", "sql"): "tests/postgres/test_operations_page.py",
}
"""What a test of its own runs or checks, whole."""
TOOLS: Final = {
    "cd",
    "cp",
    "curl",
    "echo",
    "export",
    "jq",
    "kill",
    "mkdir",
    "mv",
    "openssl",
    "pip",
    "printf",
    "python3",
    "wait",
}
"""Programs of others that may stand beside what is ours."""
ASSIGNED: Final = re.compile(r"\w+=.*", re.DOTALL)
HERE: Final = re.compile(r"<<'?(\w+)'?\n.*?^\1$", re.DOTALL | re.MULTILINE)
OURS: Final = re.compile(r"^(?:\$\w+|http://(?:127\.0\.0\.1|localhost)(?::\d+)?)(/[^?]*)?(?:\?.*)?$")


def lines(code: str) -> Iterator[str]:
    """Yield the lines of a block, those that belong together as one."""
    line = ""
    for part in HERE.sub("", code).replace("\\\n", " ").splitlines():
        line += part + "\n"
        try:
            shlex.split(line, comments=True)
        except ValueError:
            continue
        yield line
        line = ""
    assert not line, line


def commands(code: str) -> Iterator[list[str]]:
    """Yield the words of each command in a block, without assignments before it and redirections behind it."""
    for line in lines(code):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|()"):
                yield from [words] if words else []
                words = []
            elif words or not ASSIGNED.fullmatch(word):
                words.append(word)


def problem(words: Sequence[str]) -> str | None:
    """Return what is wrong with a command: it is not there, or is not called like that."""
    name, arguments = Path(words[0]).name, list(words[1:])
    if any(set(one) <= set("<>") for one in arguments):
        arguments = arguments[: next(place for place, one in enumerate(arguments) if set(one) <= set("<>"))]
    if name in ("consignee", "make"):
        return problem_of_ours(name, arguments)
    if name == "curl":
        asked = [match[1] or "/" for one in arguments if (match := OURS.match(one))]
        return next((f"no such route: {path}" for path in asked if not is_route(path)), None)
    return None if name in TOOLS or (ROOT / words[0]).is_file() else f"nothing knows {name}"


def problem_of_ours(name: str, arguments: list[str]) -> str | None:
    """Return why a command or a target of the Makefile is not called like that, or None."""
    if name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return None if {one for one in arguments if "=" not in one} <= set(targets) else "no such target"
    try:
        cli.parser().parse_args(arguments)
    except SystemExit:
        return None if arguments == ["--version"] else "not called like that"
    except Exception as wrong:  # noqa: BLE001 - whatever the parser raises says that
        return str(wrong)
    return None


def is_route(path: str) -> bool:
    """Whether something is answered at a path in which variables stand for ids."""
    known = [re.sub(r"{page}", "[^/]*", path) for _, path, _ in (*ROUTES, *BROWSED)]
    return any(re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), path) for one in known)


def checked(page: str, language: str, code: str) -> bool:
    """Whether a block is looked at here; raises AssertionError if it is wrong."""
    if language == "sh":
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)
        wrong = {shlex.join(words): why for words in commands(code) if (why := problem(words))}
        assert wrong == {}
    elif language == "json":
        assert isinstance(json.loads(code), dict)
    elif language == "yaml":
        assert isinstance(yaml.safe_load(code), dict)
    else:
        return language in (
            "python",
            "toml",
            "text",
            "http",
        )  # each kind has a test of its own below, or in test_examples
    return True


@pytest.mark.parametrize(("page", "language", "code"), BLOCKS)
def test_every_block_is_run_or_checked(page: str, language: str, code: str) -> None:
    if (page, language) not in RUN:
        assert checked(page, language, code), "no test looks at this block"


@pytest.mark.parametrize(("page", "test"), [(page, test) for (page, _), test in RUN.items()])
def test_what_is_run_elsewhere_is_run_by_a_test_that_reads_the_page(page: str, test: str) -> None:
    assert page in PAGES and page in (ROOT / test).read_text()


@pytest.mark.parametrize(
    "code",
    [
        "make nothing",
        "consignee serf",
        "consignee keys create",
        'curl -s "$API/destination-typos"',
        "frobnicate",
        "KEY=$(consignee keys craete --account ann)",
        "echo 1 | consignee nothing",
    ],
)
def test_a_wrong_command_would_be_noticed(code: str) -> None:
    with pytest.raises(AssertionError):
        checked("README.md", "sh", code)


def test_a_block_of_a_kind_that_nothing_knows_would_be_noticed() -> None:
    assert not checked("README.md", "cobol", "STOP RUN.")


@pytest.mark.parametrize(("page", "code"), [(page, code) for page, language, code in BLOCKS if language == "toml"])
def test_every_configuration_can_be_loaded(page: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "consignee.toml").write_text(code)
    assert load_settings(tmp_path / "consignee.toml", environ={}).sources


HELD: Final = ("## A wrong secret", "POST /destinations\n", "POST /collections/", "consignee is ready at")
"""How the texts begin that tests in test_docs.py, or of the page's own, hold to what there is."""


@pytest.mark.parametrize(("page", "code"), [(page, code) for page, language, code in BLOCKS if language == "text"])
def test_every_text_is_one_that_a_test_knows(page: str, code: str) -> None:
    assert code.startswith(HELD)


def test_every_example_is_shown_on_a_page() -> None:
    """And so each file there is one that somebody finds."""
    text = "".join(PAGES.values())
    assert [path.name for path in EXAMPLES.glob("*.py") if f"examples/{path.name}" not in text] == []
