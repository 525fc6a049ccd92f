"""What apispec can't know of the fields: our own kinds of them, and what their metadata mean."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields, validate

from consignee.collection import CollectionFields, WebhookUrl
from consignee.providers.base import Provider
from consignee.providers.fields import DestinationFields, Endpoint, Truth
from consignee.web.queries import Cursor

Field: TypeAlias = "fields.Field[Any]"

TRUTH: Final[Mapping[str, Any]] = {
    "anyOf": [
        {"type": "boolean"},
        {"enum": [0, 1]},
        {"type": "string", "pattern": "^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])$"},
    ]
}
"""A boolean as JSON has it, or as forms send it."""


def ids(what: str) -> dict[str, Any]:
    """Return the schema of a list of ids: an array, or one string with commas."""
    listed = {"type": "array", "items": {"type": "string"}}
    return {"description": what, "anyOf": [listed, {"type": "string"}]}


def teach(plugin: MarshmallowPlugin) -> OpenAPIConverter:
    """Return the plugin's converter, which knows our fields from then on."""
    plugin.map_to_openapi_type(Cursor, fields.String)
    plugin.map_to_openapi_type(Endpoint, "string", "uri")
    plugin.map_to_openapi_type(WebhookUrl, "string", "uri")
    converter = plugin.converter
    assert converter is not None
    for function in (_kind, _told, _emptiness):
        converter.add_attribute_function(function)
    converter.add_parameter_attribute_function(_in_query)
    return converter


def body(converter: OpenAPIConverter, schema: Schema, *, partial: bool) -> dict[str, Any]:
    """Return the schema of a body with these fields; with `partial`, each may be left out."""
    schema.partial = partial or {name for name, field in schema.fields.items() if _replaceable(field)}
    found: dict[str, Any] = converter.schema2jsonschema(schema)
    return found


def destination(converter: OpenAPIConverter, provider: Provider, *, partial: bool) -> dict[str, Any]:
    """Return the schema of a new destination of one type, or of the changes to one."""
    schema = provider.fields()
    found = body(converter, schema, partial=partial)
    found["title"] = provider.label
    found["properties"] = {"type": {"enum": [provider.type, *provider.aliases]}, **found["properties"]}
    found["required"] = ["type", *found.get("required", ())]
    if schema.alternatives and not partial:
        found["anyOf"] = _alternatives(schema)
    return found


def untyped(converter: OpenAPIConverter, providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the schema of changes that do not name the type: that of the destination stays."""
    properties: dict[str, Any] = {}
    for provider in providers:
        properties |= body(converter, provider.fields(), partial=True)["properties"]
    return {"type": "object", "title": "The type stays", "properties": properties, "not": {"required": ["type"]}}


def _alternatives(schema: DestinationFields) -> list[dict[str, Any]]:
    """Either all of the fields that another can take the place of, or that other."""
    replaced: dict[str, list[str]] = {}
    for name, other in schema.alternatives.items():
        replaced.setdefault(other, []).append(name)
    return [{"required": names} for other, all_of in replaced.items() for names in (all_of, [other])]


def _replaceable(field: Field) -> bool:
    return bool(field.metadata.get("unless"))


def _kind(_: OpenAPIConverter, field: Field, ret: dict[str, Any]) -> Mapping[str, Any]:
    if isinstance(field, Truth):
        return TRUTH
    if isinstance(field, fields.List):
        listed = dict(ret)
        ret.clear()
        found = ids("ids of destinations: an array, or in a form one string with commas")
        return {**found, "anyOf": [listed, found["anyOf"][1]]}
    return {}


def _told(_: OpenAPIConverter, field: Field, ret: dict[str, Any]) -> dict[str, Any]:
    """Only what is checked is an `enum`; other choices are those that are known so far."""
    metadata = field.metadata
    known = [] if "enum" in ret else list(metadata.get("choices", ()))
    told = {
        "title": metadata.get("label"),
        "description": metadata.get("help"),
        "maxLength": metadata.get("longest"),
        "examples": known,
    }
    if metadata.get("secret"):
        told |= {"format": "password", "writeOnly": True}
    return {name: value for name, value in told.items() if value}


def _emptiness(_: OpenAPIConverter, field: Field, ret: dict[str, Any]) -> dict[str, Any]:
    """What may be empty may be null too: that is how an optional field is cleared, and a secret is left as it is."""
    schema = field.parent
    if not isinstance(schema, DestinationFields | CollectionFields) or ret.get("type") != "string":
        return {}
    kept = schema.partial is True and field.metadata.get("secret")
    if field.required and not _replaceable(field) and not kept:
        return {"minLength": 1}
    found: dict[str, Any] = {"type": ["string", "null"]}
    return found | ({"enum": [*ret["enum"], "", None]} if "enum" in ret else {})


def _in_query(_: OpenAPIConverter, field: Field, ret: dict[str, Any]) -> dict[str, Any]:
    """An empty parameter is as one that is left out; there is no null."""
    schema = ret["schema"]
    if isinstance(schema.get("type"), list):
        schema["type"] = "string"
    if schema.get("default", "") is None:
        del schema["default"]
    for validator in field.validators:
        if isinstance(validator, validate.OneOf):
            schema["enum"] = [*validator.choices, ""]
    return {"allowEmptyValue": True}
