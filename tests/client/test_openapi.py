"""The client against the OpenAPI document: each operation has a method, each parameter an argument, each member a field."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from consignee.client import Client, DestinationFields
from consignee.client.answers import (
    Account,
    Collection,
    CollectionPage,
    Connectivity,
    Destination,
    DestinationPage,
    DestinationType,
    Verified,
)
from consignee.client.collections import Collections
from consignee.client.deliveries import Deliveries
from consignee.client.destinations import Destinations
from consignee.client.progress import Delivery, DeliveryPage, ResultPage, ResultSet
from consignee.client.results import Results
from consignee.providers import discover
from consignee.web.openapi import document

Shape = Mapping[str, Any]
DOCUMENT: Final = document(discover().values())
FOREIGN: Final = {"/openapi.json", "/console/login", "/metrics"}
"""What is for browsers and for other tools; a client has no use for it."""
ELSEWHERE: Final = {"usage"}
"""Beside a destination; `DestinationPage` and `Account` have it too."""

_ONE: Final = {"destination": Destination, "usage": None}
_SET: Final = {"collection_id": str, "result": ResultSet}
_FILES: Final = "/collections/{id}/results/{n}"
METHODS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, Any] | type]]] = {
    "POST /destinations": (Destinations.create, _ONE),
    "POST /destination": (Destinations.create, _ONE),
    "GET /destinations": (Destinations.page, DestinationPage),
    "POST /destinations/test": (Destinations.test_fields, {"connectivity": Connectivity}),
    "POST /destinations/verify": (Destinations.verify, {"results": tuple[Verified, ...]}),
    "GET /destinations/{id}": (Destinations.get, _ONE),
    "PUT /destinations/{id}": (Destinations.update, _ONE),
    "DELETE /destinations/{id}": (Destinations.delete, {}),
    "POST /destinations/{id}/test": (Destinations.test, {"connectivity": Connectivity}),
    "POST /destinations/{id}/resend": (Destinations.resend, {"resent": int}),
    "POST /destinations/policy": (Destinations.policy_of, {"policy": Mapping[str, Any]}),
    "GET /destinations/{id}/policy": (Destinations.policy, {"policy": Mapping[str, Any]}),
    "POST /collections": (Collections.create, {"collection": Collection}),
    "GET /collections": (Collections.page, CollectionPage),
    "GET /collections/{id}": (Collections.get, {"collection": Collection}),
    "PUT /collections/{id}": (Collections.update, {"collection": Collection}),
    "DELETE /collections/{id}": (Collections.delete, {}),
    "POST /collections/{id}/results": (Results.upload, _SET),
    "GET /collections/{id}/results": (Results.page, ResultPage),
    f"GET {_FILES}": (Results.get, _SET),
    f"POST {_FILES}/resend": (Results.resend, _SET),
    f"POST {_FILES}/webhook/resend": (Results.resend_webhook, _SET),
    f"GET {_FILES}/events": (Results.events, {}),
    f"GET {_FILES}/files/{{name}}": (Results.download, {}),
    f"HEAD {_FILES}/files/{{name}}": (Results.head, {}),
    "GET /deliveries": (Deliveries.page, DeliveryPage),
    "GET /deliveries/{id}": (Deliveries.get, {"delivery": Delivery}),
    "GET /destination-types": (Client.destination_types, {"destination_types": tuple[DestinationType, ...]}),
    "GET /account": (Client.account, {"account_info": Account}),
    "GET /healthz": (Client.alive, {}),
    "HEAD /healthz": (Client.alive, {}),
    "GET /readyz": (Client.ready, {}),
    "HEAD /readyz": (Client.ready, {}),
}
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "n": ("number",),
    "Idempotency-Key": ("idempotency_key",),
    "Range": ("start", "stop"),
    "If-Range": ("if_range",),
    "file": ("files",),
}
"""The arguments that are called otherwise than the parameter or field. `id` is also that of the collection."""


def operations() -> dict[str, Shape]:
    """Return the operations by method and path, without those that are not for a client."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if path not in FOREIGN
    }


def resolved(shape: Shape) -> Shape:
    """Return what a reference leads to, and of what may be null what it is otherwise."""
    if "$ref" in shape:
        found: Any = DOCUMENT
        for part in shape["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return resolved(found)
    other = [one for one in shape.get("anyOf", ()) if one != {"type": "null"}]
    return resolved(other[0]) if len(other) == 1 else shape


def content(answer: Shape) -> Shape:
    """Return the schema of a JSON body or answer, or an empty one."""
    found = resolved(answer).get("content", {})
    media = found.get("application/json") or found.get("multipart/form-data") or {}
    return resolved(media.get("schema", {}))


def test_each_operation_has_a_method() -> None:
    assert METHODS.keys() == operations().keys()


@pytest.mark.parametrize("name", METHODS)
def test_each_parameter_is_an_argument(name: str) -> None:
    operation, given = operations()[name], set(inspect.signature(METHODS[name][0]).parameters)
    for parameter in operation["parameters"]:
        if name.startswith("HEAD ") and resolved(parameter)["in"] == "header":
            continue  # a range of nothing
        assert fits(resolved(parameter)["name"], given), parameter


@pytest.mark.parametrize("name", [name for name, operation in operations().items() if "requestBody" in operation])
def test_each_field_of_a_body_is_an_argument(name: str) -> None:
    """Those of destinations are all in one; what they are, a type checker knows."""
    given = set(inspect.signature(METHODS[name][0]).parameters)
    shape = content(operations()[name]["requestBody"])
    if "fields" in given:
        return
    assert "oneOf" not in shape
    for field in shape["properties"]:
        assert fits(field, given), field


def fits(name: str, given: set[str]) -> bool:
    """Return whether a parameter has its arguments."""
    if name == "id" and "collection_id" in given:
        return True
    return set(ARGUMENTS.get(name, (name,))) <= given


def test_each_field_of_a_destination_is_known_to_type_checkers() -> None:
    types_ = [content_of for name, content_of in DOCUMENT["components"]["schemas"].items() if name.endswith("New")]
    fields = {field for shape in types_ for field in shape["properties"]}
    assert len(types_) == len(discover())
    assert set(DestinationFields.__annotations__) == fields


@pytest.mark.parametrize("name", METHODS)
def test_each_member_of_an_answer_is_a_field_of_its_type(name: str) -> None:
    answered = METHODS[name][1]
    members = answered if isinstance(answered, dict) else typing.get_type_hints(answered)
    properties = content(operations()[name]["responses"]["200"]).get("properties", {})
    assert members.keys() == properties.keys() - {"request_info"}
    for member, hint in members.items():
        if hint is not None:
            compare(hint, properties[member], member)
        else:
            assert member in ELSEWHERE


def compare(hint: Any, shape: Shape, where: str) -> None:
    """Check that a type is as the document has it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    assert (types.NoneType in inner) == may_be_null(shape), where
    if origin in (typing.Union, types.UnionType):
        compare(next(one for one in inner if one is not types.NoneType), without_null(shape), where)
    elif dataclasses.is_dataclass(hint):
        compare_members(hint, resolved(shape), where)
    elif origin is tuple:
        compare(inner[0], resolved(shape)["items"], where)
    elif origin is not None:
        assert resolved(shape)["type"] == "object", where
        if inner[1] is not Any:
            compare(inner[1], resolved(shape)["additionalProperties"], where)
    else:
        assert kinds(resolved(shape)) == {hint}, where


def may_be_null(shape: Shape) -> bool:
    """Return whether the value may be null, or missing where a member may be."""
    return "null" in shape.get("type", ()) or {"type": "null"} in shape.get("anyOf", ())


def without_null(shape: Shape) -> Shape:
    """Return the schema of a value that is not null."""
    found = resolved(shape)
    return {**found, "type": next(one for one in found["type"] if one != "null")} if may_be_null(found) else found


def compare_members(kind: Any, shape: Shape, where: str) -> None:
    """Check that a dataclass has the members of an object, and no others."""
    if "oneOf" in shape:
        for one in shape["oneOf"]:
            compare_members(kind, resolved(one), where)
        return
    hints, properties = typing.get_type_hints(kind), dict(shape["properties"])
    beside = (
        {"settings"} if kind is Destination else {"collection_id"} if kind.__name__.endswith("ResultSet") else set()
    )
    own = {name for name in properties if kind is Destination and name not in hints}
    assert hints.keys() - beside == properties.keys() - own, where
    for name in hints.keys() - beside:
        given = properties[name] if name in shape["required"] else {"anyOf": [properties[name], {"type": "null"}]}
        compare(hints[name], given, f"{where}.{name}")


def kinds(shape: Shape) -> set[type]:
    """Return what a value of that schema is in Python."""
    if "const" in shape or "enum" in shape:
        return {type(one) for one in shape.get("enum", [shape.get("const")])}
    named = {"string": str, "integer": int, "number": float, "boolean": bool}
    found = shape["type"]
    return {named[one] for one in ([found] if isinstance(found, str) else found) if one != "null"}
