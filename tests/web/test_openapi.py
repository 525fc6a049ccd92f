"""The OpenAPI document: every route, every field, every code, and nothing that is not there."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from consignee import errors
from consignee.collection import CollectionFields
from consignee.egress import Policy
from consignee.providers import discover
from consignee.providers.memory import MemoryStorage
from consignee.web.errors import STATUS
from consignee.web.openapi import document
from consignee.web.openapi.operations import OPERATIONS
from consignee.web.queries import DeliveriesSchema, ListingSchema, PageSchema
from consignee.web.routes import ROUTES

from .conftest import Client, collected, created, rested, sent

Operation = Mapping[str, Any]
METHODS = ("get", "head", "post", "put", "delete")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The document of the built-in types and the one in memory."""
    return document([*discover().values(), MemoryStorage("bucket").provider])


def operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    """Yield each operation of a document, with its method and path."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield method.upper(), path, operation


def resolved(described: Mapping[str, Any], shape: Mapping[str, Any]) -> Any:
    """Return what a reference leads to, or the thing itself."""
    if "$ref" not in shape:
        return shape
    found: Any = described
    for part in shape["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def valid(described: Mapping[str, Any], name: str, value: object) -> bool:
    """Whether a value is what a named schema says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


def test_every_route_is_in_the_document_and_the_other_way_round(described: Mapping[str, Any]) -> None:
    routes = [(method, path) for method, path, _ in ROUTES]
    assert sorted((method, path) for method, path, _ in operations(described)) == sorted(routes)
    assert sorted(OPERATIONS) == sorted(routes)


def test_the_document_is_one(described: Mapping[str, Any]) -> None:
    """It can be written as JSON, each reference leads somewhere, each named thing is used, each operation has an id."""
    text = json.dumps(described)
    references = set(re.findall(r'"#/components/(\w+)/([\w.-]+)"', text))
    named = {(kind, name) for kind in ("schemas", "responses", "headers") for name in described["components"][kind]}
    assert references == named
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for _, _, operation in operations(described))


def test_every_schema_in_it_is_one(described: Mapping[str, Any]) -> None:
    """By JSON Schema's own schema, 2020-12, which is what OpenAPI 3.1 says."""
    schemas = described["components"]["schemas"]
    assert [name for name, shape in schemas.items() if not jsonschema_rs.meta.is_valid(shape)] == []
    assert not jsonschema_rs.meta.is_valid({"type": "text"})


def test_every_parameter_of_a_path_and_a_query_is_there(described: Mapping[str, Any]) -> None:
    queries = {
        "/destinations": ListingSchema,
        "/deliveries": DeliveriesSchema,
        "/collections": PageSchema,
        "/collections/{id}/results": PageSchema,
    }
    for method, path, operation in operations(described):
        places = [(one["in"], one["name"]) for one in operation["parameters"] if one["in"] != "header"]
        wanted = [("path", name) for name in re.findall(r"{(\w+)}", path)]
        if method == "GET" and path in queries:
            wanted += [("query", name) for name in queries[path]().fields]
        assert places == wanted


def test_every_field_of_every_type_is_there_and_no_secret_is_answered(described: Mapping[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for provider in discover().values():
        fields = provider.fields()
        for suffix in ("New", "Changes"):
            assert {"type", *fields.fields} == schemas[provider.type + suffix]["properties"].keys()
        answered = schemas[provider.type + "Destination"]["properties"].keys()
        assert answered >= {"type", "name", "enabled", *fields.setting_names}
        assert not answered & set(fields.secret_names)


@pytest.mark.parametrize("name", ["NewDestination", "DestinationChanges", "Destination"])
def test_the_type_tells_the_kinds_of_destinations_apart(described: Mapping[str, Any], name: str) -> None:
    """Also by their other names."""
    shape = described["components"]["schemas"][name]
    assert shape["discriminator"]["propertyName"] == "type"
    targets = {one["$ref"] for one in shape["oneOf"]}
    types = {name for one in discover().values() for name in (one.type, *one.aliases)}
    assert shape["discriminator"]["mapping"].keys() == {*types, "memory"}
    assert set(shape["discriminator"]["mapping"].values()) <= targets


def test_every_code_is_at_its_status(described: Mapping[str, Any]) -> None:
    """A code of the connectivity test is where one is made, and no code of the table is nowhere."""
    seen: set[str] = set()
    for _, _, operation in operations(described):
        for status, response in operation["responses"].items():
            text = json.dumps(resolved(described, response))
            codes = re.findall(r'"enum": \[([^\]]*)\]', text)
            for code in re.findall(r'"(\w+)"', " ".join(codes)):
                assert STATUS[code] == int(status) or (code, status) == ("invalid_request", "416")
                seen.add(code)
    assert seen == set(STATUS)
    problem = json.dumps(described["components"]["schemas"]["Problem"])
    assert all(f'"{one.code}"' in problem for one in (errors.BucketNotFound, errors.TimedOut, errors.ProviderError))


GOOD = {
    "s3": {"s3_access_key_id": "a", "s3_secret_access_key": "b", "s3_bucket_name": "bucket"},
    "s3compatible": {
        "s3_access_key_id": "a",
        "s3_secret_access_key": "b",
        "s3_bucket_name": "bucket",
        "s3_endpoint": "https://s3.example.com",
    },
    "gcs": {"gcs_access_key": "a", "gcs_secret_key": "b", "gcs_bucket_name": "bucket"},
    "azure": {"azure_account_name": "abc", "azure_account_key": "a2V5", "azure_container_name": "container"},
    "oss": {
        "oss_access_key": "a",
        "oss_secret_key": "b",
        "oss_bucket_name": "bucket",
        "oss_region_id": "oss-eu-west-1",
    },
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("enabled", [True, "FALSE", "1", 0])
def test_what_the_service_takes_fits_the_document(described: Mapping[str, Any], kind: str, enabled: object) -> None:
    fields = {"type": kind, "name": "Mine", "enabled": enabled, **GOOD[kind]}
    (provider,) = (one for one in discover().values() if one.type == kind)
    assert provider.fields().draft(kind, fields).type == kind
    assert valid(described, "NewDestination", fields)
    assert valid(described, "DestinationChanges", fields)


@pytest.mark.parametrize("kind", GOOD)
def test_what_lacks_a_required_field_or_has_a_wrong_one_does_not_fit(described: Mapping[str, Any], kind: str) -> None:
    fields = {"type": kind, "name": "Mine", "enabled": True, **GOOD[kind]}
    for name in fields:
        assert not valid(described, "NewDestination", {each: fields[each] for each in fields if each != name})
        assert not valid(described, "NewDestination", {**fields, name: ["wrong"]})
    assert not valid(described, "NewDestination", {**fields, "name": "x" * 201})


def test_changes_need_no_field_at_all_not_even_the_type(described: Mapping[str, Any]) -> None:
    assert valid(described, "DestinationChanges", {})
    assert valid(described, "DestinationChanges", {"name": "New", "s3_secret_access_key": ""})
    assert not valid(described, "DestinationChanges", {"name": 5})
    assert not valid(described, "DestinationChanges", {"type": "floppy"})


def test_either_kind_of_google_s_credentials_fits(described: Mapping[str, Any]) -> None:
    common = {"type": "gcs", "name": "Mine", "enabled": True, "gcs_bucket_name": "bucket"}
    assert valid(described, "NewDestination", {**common, "gcs_service_account_json": "{}"})
    assert not valid(described, "NewDestination", {**common, "gcs_access_key": "a"})


def test_a_collection_is_described_with_all_its_fields(described: Mapping[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert schemas["NewCollection"]["properties"].keys() == CollectionFields(Policy()).fields.keys()
    assert valid(described, "NewCollection", {"name": "x", "destination_ids": "159F123B,A6027A67", "manifest": "1"})
    assert valid(described, "CollectionChanges", {"notification_webhook": None})
    assert not valid(described, "NewCollection", {"name": "x"})


async def test_what_is_answered_fits_the_document(described: Mapping[str, Any], client: Client) -> None:
    destination = await created(client)
    assert valid(described, "memoryDestination", destination), destination
    collection = await collected(client, destination["id"], notification_webhook="https://127.0.0.1:1")
    await sent(client, collection, {"a.csv": b"1"})
    result = await rested(client, collection)
    assert valid(described, "ResultSet", result), result
    for path in ("/destinations", "/collections", f"{collection}/results", "/deliveries", "/account"):
        (operation,) = (one for method, at, one in operations(described) if (method, at) == ("GET", described_as(path)))
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        answer = await (await client.get(path)).json()
        whole = {**schema, "components": described["components"]}
        assert jsonschema_rs.Draft202012Validator(whole).is_valid(answer), answer


def described_as(path: str) -> str:
    """Return a path with the names of its parameters."""
    return re.sub(r"/[0-9A-F]{8}", "/{id}", path)


def test_a_document_can_be_made_without_any_type() -> None:
    assert document([])["paths"].keys() == document(discover().values())["paths"].keys()
