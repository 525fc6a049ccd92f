"""The documentation is held to the code: what there is must be documented, and what is documented must be there."""

import argparse
import fnmatch
import inspect
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consignee import Destinations, cli, errors, path_prefix
from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.egress import Policy
from consignee.errors import SettingsError
from consignee.providers import discover, s3
from consignee.settings import SETTINGS, load_settings
from consignee.web import create_app, setup
from consignee.web.errors import STATUS
from consignee.web.queries import ListingSchema
from consignee.web.routes import ROUTES
from pages import BLOCKS, EXAMPLES, FENCE, PAGES, ROOT, anchors, blocks, rows


def usages(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield how each command is called."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for child in (child for action in nested for child in action.choices.values()):
        yield from usages(child)
    if not nested:
        yield " ".join(parser.format_usage().split()).removeprefix("usage: ").replace(" [-h]", "")


def test_every_setting_is_documented_with_its_default_and_its_variable() -> None:
    documented = {row[0]: row[1:3] for row in rows("docs/reference.md", "Settings")}
    assert documented.keys() == {".".join(name).replace("*", "s3") for name in SETTINGS}
    for name, setting in SETTINGS.items():
        default, variable = documented[".".join(name).replace("*", "s3")]
        told = None if default == "none" else tomllib.loads(f"value = {default}")["value"]
        assert told == (list(setting.default) if isinstance(setting.default, tuple) else setting.default)
        assert variable in ("none", "CONSIGNEE_" + "__".join(name).replace("*", "s3").upper())


@pytest.mark.parametrize("row", rows("docs/reference.md", "Settings"), ids=lambda row: row[0])
def test_a_documented_variable_sets_its_setting(row: list[str]) -> None:
    """And a setting that is documented to have none is refused."""
    text = row[1].strip('"[]').replace("none", "5a" * 32)
    if row[2] == "none":
        with pytest.raises(SettingsError):
            load_settings(environ={"CONSIGNEE_" + row[0].replace(".", "__").upper(): text})
    else:
        assert load_settings(environ={row[2]: text}).sources == {tuple(row[0].split(".")): "environment"}


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = {code: int(status) for code, status, _ in rows("docs/reference.md", "Error codes")}
    failures = [
        one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.ProviderFailure)
    ]
    of_tests = {one.code: 400 for one in failures if one is not errors.ProviderFailure}
    assert documented == {**STATUS, **of_tests}


def test_every_route_and_parameter_is_documented() -> None:
    documented = [row[0] for row in rows("docs/reference.md", "Routes")]
    assert sorted(documented) == sorted(f"{method} {path}" for method, path, _ in ROUTES)
    assert sorted(row[0] for row in rows("docs/reference.md", "List parameters")) == sorted(ListingSchema().fields)


def test_every_command_is_documented_with_its_options() -> None:
    documented = [row[0] for row in rows("docs/reference.md", "Commands")]
    assert sorted(documented) == sorted(usages(cli._parser()))


def test_every_field_of_every_type_is_documented() -> None:
    documented = {
        (type_, field, required, secret)
        for field, types, required, secret, _ in rows("README.md", "Destination types")
        for type_ in types.replace("`", "").split()
    }
    word = {True: "yes", False: "no"}
    assert documented == {
        (one["type"], field["name"], word[field["required"]], word[field["secret"]])
        for one in Catalog(discover().values(), Policy()).describe()
        for field in one["fields"]
    }


def test_every_token_is_documented_with_its_sample() -> None:
    documented = {token.strip("%"): sample for token, _, sample in rows("README.md", "Path prefixes")}
    assert documented == path_prefix.SAMPLE


def test_every_module_has_its_line_in_the_architecture() -> None:
    package = ROOT / "app" / "consignee"
    modules = {path.name for path in package.glob("[!_]*.py")} | {
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    }
    assert {row[0] for row in rows("README.md", "Architecture")} == modules


def test_every_documented_method_and_argument_is_there() -> None:
    for (call,) in (row[:1] for row in rows("docs/embedding.md", "Without HTTP")):
        name, arguments = call.rstrip(")").split("(")
        given = arguments.split(", ")
        assert list(inspect.signature(getattr(Destinations, name)).parameters)[1 : 1 + len(given)] == given
    documented = [row[0] for row in rows("docs/embedding.md", "In an aiohttp application")]
    assert [*inspect.signature(setup).parameters][3:] == documented
    assert [*inspect.signature(create_app).parameters][1:] == documented


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page]))
    for link in (link for link in links if not link.startswith("https://")):
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(str(target.relative_to(ROOT))), link


def test_every_block_names_its_language() -> None:
    """Otherwise nothing here would look at it."""
    fences = [line for text in PAGES.values() for line in text.splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(BLOCKS)


@pytest.mark.parametrize(
    "page", [*PAGES, *(f"docs/examples/{path.name}" for path in EXAMPLES.iterdir() if path.is_file())]
)
def test_nothing_speaks_of_one_machine(page: str) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt)\b", (ROOT / page).read_text()) == []


@pytest.mark.parametrize(("page", "code"), blocks("sh"))
def test_every_shell_block_is_shell_and_names_targets_that_exist(page: str, code: str) -> None:
    subprocess.run(["bash", "-n"], input=code, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize(("page", "code"), blocks("toml"))
def test_every_configuration_can_be_loaded(page: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "consignee.toml").write_text(code)
    assert load_settings(tmp_path / "consignee.toml", environ={}).sources


@pytest.mark.parametrize(("page", "code"), blocks("json"))
def test_every_json_block_is_an_object(page: str, code: str) -> None:
    assert isinstance(json.loads(code), dict)


def test_the_policy_is_the_one_that_is_given_and_covers_the_test_file() -> None:
    (policy,) = [json.loads(code) for _, code in blocks("json") if "Statement" in code]
    (statement,) = policy["Statement"]
    settings = {"s3_bucket_name": "demo-bucket", "s3_path_prefix": "exports/%DATE%"}
    assert policy == s3.policy(Draft(type="s3", name="", enabled=True, settings=settings, secrets={}))
    key = path_prefix.object_key("exports/%COLLECTION_NAME%/%DATE%", path_prefix.SAMPLE, "consignee-test-0.txt")
    assert fnmatch.fnmatchcase(f"arn:aws:s3:::demo-bucket/{key}", statement["Resource"])


def test_the_part_of_the_tour_is_a_part_of_it() -> None:
    tour = (ROOT / "app" / "consignee" / "demo" / "tour.py").read_text()
    titles = [title for _, code in blocks("text") for title in re.findall(r"^## (.*)$", code, re.MULTILINE)]
    assert titles and all(f'"{title}"' in tour for title in titles)
