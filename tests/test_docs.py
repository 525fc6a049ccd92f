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
from consignee.accounts import KIND as API_KEYS
from consignee.catalog import Catalog
from consignee.collection import CollectionFields
from consignee.delivery import webhook
from consignee.delivery.delivery import STATUSES
from consignee.delivery.schedule import Schedule
from consignee.delivery.signature import headers
from consignee.destination import Draft
from consignee.egress import Policy
from consignee.errors import SettingsError
from consignee.providers import discover, s3
from consignee.sealing_key import KIND, SEALED
from consignee.secret import Secret
from consignee.sections import DeliverySettings
from consignee.settings import SETTINGS, load_settings
from consignee.web import create_app, setup
from consignee.web.errors import STATUS
from consignee.web.queries import DeliveriesSchema, ListingSchema
from consignee.web.routes import ROUTES
from pages import BLOCKS, EXAMPLES, FENCE, PAGES, ROOT, anchors, blocks, paragraph, rows


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


def as_variable(value: object) -> str:
    """Return what a variable holds to say the same as the file does."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("row", rows("docs/reference.md", "Settings"), ids=lambda row: row[0])
def test_a_documented_variable_sets_its_setting(row: list[str]) -> None:
    """And a setting that is documented to have none is refused."""
    text = as_variable("5a" * 32 if row[1] == "none" else tomllib.loads(f"value = {row[1]}")["value"])
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
    assert [row[0] for row in rows("docs/reference.md", "Parameters of deliveries")] == list(DeliveriesSchema().fields)


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


def test_every_module_of_deliveries_has_its_line() -> None:
    modules = {path.name for path in (ROOT / "app" / "consignee" / "delivery").glob("[!_]*.py")}
    assert {row[0] for row in rows("README.md", "Inside delivery")} == modules


def test_the_ways_lead_through_modules_that_are_there() -> None:
    ways = [code for page, code in blocks("text") if page == "README.md" and re.match("(POST|GET) /", code)]
    steps = {step for way in ways for step in re.findall(r"^ *([\w/]+\.py)\b", way, re.MULTILINE)}
    assert len(ways) == 2 and len(steps) > 10
    assert [step for step in steps if not (ROOT / "app" / "consignee" / step).is_file()] == []


def test_every_delivery_status_is_documented() -> None:
    assert [row[0] for row in rows("docs/reference.md", "Delivery statuses")] == list(STATUSES)
    assert set(re.findall(r"`(\w+)`", paragraph("README.md", "For each destination of the"))) == set(STATUSES)


def test_every_field_of_a_collection_is_documented() -> None:
    fields = CollectionFields(Policy()).fields
    documented = {row[0]: row[1] for row in rows("docs/reference.md", "Collections") if row[1] != "no"}
    assert documented == {name: "yes, required" if field.required else "yes" for name, field in fields.items()}


def test_every_header_and_code_of_a_webhook_is_documented() -> None:
    sent = headers(Secret("whsec_AAAA"), id="msg_1", timestamp=0, body=b"")
    assert [row[0] for row in rows("docs/reference.md", "Webhooks")] == list(sent)
    assert [row[0] for row in rows("docs/reference.md", "Webhook codes")] == [webhook.REFUSED]


def test_the_message_to_a_webhook_has_the_members_that_are_documented() -> None:
    (told,) = [json.loads(code) for page, code in blocks("json") if "collection_resultset_completed" in code]
    assert told == webhook.payload("5C1D90E7", "Daily figures", told["result_set"])


def test_the_failures_that_are_repeated_are_documented() -> None:
    told = (
        paragraph("docs/reference.md", "From `credentials_rejected` on").split("Of those, ")[1].split(" are tried")[0]
    )
    failures = [
        one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.ProviderFailure)
    ]
    assert sorted(re.findall(r"`(\w+)`", told)) == sorted(one.code for one in failures if one.transient)


def test_the_schedule_is_documented() -> None:
    told = paragraph("README.md", "**Failures.**").split("again after ")[1].split(", each")[0]
    waits = [f"{number}{unit[0]}" for number, unit in re.findall(r"(\d+) (s|min|h)\b", told)]
    settings = DeliverySettings()
    assert waits == list(settings.retries)
    days = sum(Schedule.of(settings).steps) / 86400
    assert "about three days in all" in paragraph("README.md", "**Failures.**") and 2.5 < days < 3.5


PROMISED = {
    "at most 4 uploads at once to one destination": ("per_destination", 4),
    "give or take 20 %": ("jitter", 0.2),
    "After 5 failures in a row": ("breaker", 5),
    "After 5 days of nothing but failures": ("disable_after", "5d"),
    "after three of them in a row": ("crashes", 3),
    "kept for 14 days": ("retention", "14d"),
    "Files above 16 MiB": ("part_threshold", 16 * 1024**2),
    "sent in parts, four at once": ("parts_at_once", 4),
}


@pytest.mark.parametrize("promise", PROMISED)
def test_a_promise_names_the_default(promise: str) -> None:
    name, value = PROMISED[promise]
    assert promise in " ".join(PAGES["README.md"].split())
    assert getattr(DeliverySettings(), name) == value


def test_what_to_move_away_without_the_sealing_key_is_all_that_is_sealed() -> None:
    """And the API keys, whose pepper is sealed."""
    told = re.findall(r"`(\w+)\.jsonl`", paragraph("README.md", "**The sealing key**"))
    assert sorted(told) == sorted({*SEALED, KIND, API_KEYS})


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
