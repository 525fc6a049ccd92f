"""The documentation is held to the code: what there is must be documented, and what is documented must be there."""

import argparse
import fnmatch
import inspect
import json
import re
import tomllib
from collections.abc import Iterator

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
from consignee.providers import discover
from consignee.rates import Rates
from consignee.sealing_key import KIND, SEALED
from consignee.secret import Secret
from consignee.sections import DeliverySettings, LimitsSettings
from consignee.settings import SETTINGS, load_settings
from consignee.web import answers, create_app, setup
from consignee.web.errors import STATUS
from consignee.web.queries import DeliveriesSchema, ListingSchema
from consignee.web.routes import PAGES as BROWSED
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
        assert told == as_told(setting.default)
        assert variable in ("none", "CONSIGNEE_" + "__".join(name).replace("*", "s3").upper())


def as_told(value: object) -> object:
    """Return a default as TOML has it."""
    if isinstance(value, Secret):
        return value.reveal()
    return list(value) if isinstance(value, tuple) else value


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
    assert sorted(documented) == sorted(usages(cli.parser()))


def test_every_field_of_every_type_is_documented() -> None:
    documented = {
        (type_, field, required, secret)
        for field, types, required, secret, _ in rows("docs/destination-types.md", "Fields")
        for type_ in types.replace("`", "").split()
    }
    word = {True: "yes", False: "no"}
    assert documented == {
        (one["type"], field["name"], word[field["required"]], word[field["secret"]])
        for one in Catalog(discover().values(), Policy()).describe()
        for field in one["fields"]
    }


def test_every_token_is_documented_with_its_sample() -> None:
    documented = {token.strip("%"): sample for token, _, sample in rows("docs/destination-types.md", "Path prefixes")}
    assert documented == path_prefix.SAMPLE


def test_every_module_has_its_line_in_the_architecture() -> None:
    package = ROOT / "app" / "consignee"
    modules = {path.name for path in package.glob("[!_]*.py")} | {
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    }
    assert {row[0] for row in rows("docs/architecture.md", "Rooms")} == modules


def test_every_module_of_deliveries_has_its_line() -> None:
    modules = {path.name for path in (ROOT / "app" / "consignee" / "delivery").glob("[!_]*.py")}
    assert {row[0] for row in rows("docs/architecture.md", "Inside delivery")} == modules


def test_the_ways_lead_through_modules_that_are_there() -> None:
    ways = [code for page, code in blocks("text") if page == "docs/architecture.md"]
    steps = {step for way in ways for step in re.findall(r"^ *([\w/]+\.py)\b", way, re.MULTILINE)}
    assert len(ways) == 2 and len(steps) > 10
    assert [step for step in steps if not (ROOT / "app" / "consignee" / step).is_file()] == []
    assert [code for page, code in blocks("text") if page == "README.md" and code in ways] == ways[:1]


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
    assert promise in " ".join((PAGES["README.md"] + PAGES["docs/deliveries.md"]).split())
    assert getattr(DeliverySettings(), name) == value


def test_what_to_move_away_without_the_sealing_key_is_all_that_is_sealed() -> None:
    """And the API keys, whose pepper is sealed."""
    told = re.findall(r"`(\w+)\.jsonl`", paragraph("docs/security.md", "**The sealing key**"))
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
    text = FENCE.sub("", PAGES[page])
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\b(?:src|srcset|href)="([^"]+)"', text)
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


def test_the_policies_are_those_that_are_given_and_cover_the_test_file() -> None:
    told = [json.loads(code) for page, code in blocks("json") if page == "docs/destination-types.md"]
    providers = discover()
    assert told == [providers[type_].policy(drafted(type_)) for type_ in ("s3", "gcs", "azure", "oss")]  # type: ignore[misc]
    assert providers["s3compatible"].policy is providers["s3"].policy
    key = path_prefix.object_key("exports/%COLLECTION_NAME%/%DATE%", path_prefix.SAMPLE, "consignee-test-0.txt")
    assert fnmatch.fnmatchcase(f"arn:aws:s3:::demo-bucket/{key}", told[0]["Statement"][0]["Resource"])


def drafted(type_: str) -> Draft:
    """Return the destination whose policy is shown."""
    own = {
        "azure_account_name": "demoaccount",
        "azure_container_name": "demo-container",
        "oss_region_id": "oss-eu-central-1",
    }
    settings = {name: value for name, value in own.items() if name.startswith(type_)}
    settings |= {f"{type_}_path_prefix": "exports/%DATE%"} | (
        {} if type_ == "azure" else {f"{type_}_bucket_name": "demo-bucket"}
    )
    return Draft(type=type_, name="", enabled=True, settings=settings, secrets={})


def test_the_table_of_types_names_their_fields_rights_and_extras() -> None:
    table = {row[0]: row[2:] for row in rows("README.md", "Destination types")}
    providers = discover()
    assert table.keys() == providers.keys()
    for type_, (credentials, where, rights, extra) in table.items():
        fields = providers[type_].fields()
        named = set(re.findall(r"[a-z0-9]+(?:_[a-z]+)+", f"{credentials} {where}"))
        expected = {*fields.fields} - {"name", "enabled", fields.prefix_field}
        assert named == expected or (credentials == "the same" and named == expected & set(fields.setting_names))
        assert extra == providers[type_].extra
        policy = json.dumps(providers[type_].policy(drafted(type_))) if type_ != "s3compatible" else ""  # type: ignore[misc]
        assert all(right in policy for right in re.findall(r"`([\w.:]+)`", rights)) or type_ == "s3compatible"


def test_the_codes_of_the_readme_are_all_of_them() -> None:
    told = [
        re.findall(r"`(\w+)`", paragraph("README.md", begin))
        for begin in ("`invalid_request`,", "Those of the connectivity")
    ]
    assert told[0] + told[1] == [row[0] for row in rows("docs/reference.md", "Error codes")]


def test_the_headers_on_rates_are_those_that_are_sent() -> None:
    """With the defaults, in the answer to a second request."""
    ((_, code),) = blocks("http")
    limits = LimitsSettings()
    burst, rate = limits.requests_burst, limits.requests_per_second
    rates = Rates("requests", what="requests", per_second=rate, burst=burst, clock=lambda: 0.0)
    rates.take("ann")
    quota = rates.take("ann")
    assert quota is not None
    assert code.splitlines() == [f"{name}: {value}" for name, value in answers._quota_headers(quota).items()]


def test_what_is_for_browsers_is_documented() -> None:
    named = re.findall(r"`GET /(\w+)/`", paragraph("docs/reference.md", "For browsers"))
    assert set(named) == {path.split("/")[1] for _, path, _ in BROWSED}


def test_every_picture_is_shown_on_a_page() -> None:
    text = "".join(PAGES.values())
    assert [one.name for one in (ROOT / "docs" / "images").iterdir() if f"images/{one.name}" not in text] == []


def test_every_target_of_make_is_explained_to_contributors() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    explained = PAGES["CONTRIBUTING.md"]
    assert [one for one in targets.split() if not re.search(rf"\bmake {one}\b|\b{one}:", explained)] == []


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/-]+\.md)", PAGES["docs/README.md"]))
    assert linked == {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")} - {"README.md"}


def test_the_part_of_the_tour_is_a_part_of_it() -> None:
    tour = (ROOT / "app" / "consignee" / "demo" / "tour.py").read_text()
    titles = [title for _, code in blocks("text") for title in re.findall(r"^## (.*)$", code, re.MULTILINE)]
    assert titles and all(f'"{title}"' in tour for title in titles)
