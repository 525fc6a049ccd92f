"""From marshmallow's schemas to JSON Schema: what a body or a query string may hold."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from marshmallow import Schema, fields, validate

from consignee.collection import CollectionFields, WebhookUrl
from consignee.providers.base import Provider
from consignee.providers.fields import DestinationFields, Endpoint, Truth

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


def destination(provider: Provider, *, partial: bool) -> dict[str, Any]:
    """Return the schema of a new destination of one type, or of the changes to one."""
    schema = provider.fields()
    found = _object(schema, partial=partial)
    found["title"] = provider.label
    found["properties"] = {"type": {"enum": [provider.type, *provider.aliases]}, **found["properties"]}
    found["required"] = ["type", *found["required"]]
    if schema.alternatives and not partial:
        found["anyOf"] = _alternatives(schema)
    return found


def untyped(providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the schema of changes that do not name the type: that of the destination stays."""
    properties: dict[str, Any] = {}
    for provider in providers:
        properties |= _object(provider.fields(), partial=True)["properties"]
    return {"type": "object", "title": "The type stays", "properties": properties, "not": {"required": ["type"]}}


def collection(schema: CollectionFields, *, partial: bool) -> dict[str, Any]:
    """Return the schema of a new collection, or of the changes to one."""
    return _object(schema, partial=partial)


def parameters(schema: Schema) -> list[dict[str, Any]]:
    """Return the parameters that a query string may hold; an empty one is as one that is left out."""
    return [
        {"name": name, "in": "query", "allowEmptyValue": True, "schema": {**_plain(field), **_default(field)}}
        for name, field in schema.fields.items()
    ]


def _object(schema: Schema, *, partial: bool) -> dict[str, Any]:
    required = [name for name, field in schema.fields.items() if field.required and not _replaceable(field)]
    properties = {name: _property(field, partial=partial) for name, field in schema.fields.items()}
    return {"type": "object", "properties": properties, "required": [] if partial else required}


def _alternatives(schema: DestinationFields) -> list[dict[str, Any]]:
    """Either all of the fields that another can take the place of, or that other."""
    replaced: dict[str, list[str]] = {}
    for name, other in schema.alternatives.items():
        replaced.setdefault(other, []).append(name)
    return [{"required": names} for other, all_of in replaced.items() for names in (all_of, [other])]


def _replaceable(field: fields.Field[Any]) -> bool:
    return bool(field.metadata.get("unless"))


def _property(field: fields.Field[Any], *, partial: bool) -> dict[str, Any]:
    """What may be empty may be null too: that is how an optional field is cleared, and a secret is left as it is."""
    found = {**_plain(field), **_told(field)}
    if found.get("type") != "string":
        return found
    optional = not field.required or _replaceable(field) or (partial and field.metadata.get("secret"))
    return {**found, "type": ["string", "null"]} if optional else {**found, "minLength": 1}


def _plain(field: fields.Field[Any]) -> dict[str, Any]:
    if isinstance(field, Truth):
        return dict(TRUTH)
    if isinstance(field, fields.List):
        return ids("ids of destinations: an array, or in a form one string with commas")
    if isinstance(field, fields.Integer):
        (within,) = (one for one in field.validators if isinstance(one, validate.Range))
        return {"type": "integer", "minimum": within.min, "maximum": within.max}
    return {"type": "string", **_choices(field), **_length(field), **_form(field)}


def _default(field: fields.Field[Any]) -> dict[str, Any]:
    return {"default": field.load_default} if isinstance(field.load_default, str | int) else {}


def _choices(field: fields.Field[Any]) -> dict[str, Any]:
    """Only what is checked is an `enum`; other choices are those that are known so far."""
    enumerated = [list(one.choices) for one in field.validators if isinstance(one, validate.OneOf)]
    if enumerated:
        return {"enum": enumerated[0] if field.required else [*enumerated[0], "", None]}
    known = list(field.metadata.get("choices", ()))
    return {"examples": known} if known else {}


def _length(field: fields.Field[Any]) -> dict[str, Any]:
    longest = field.metadata.get("longest")
    return {"maxLength": longest} if longest else {}


def _form(field: fields.Field[Any]) -> dict[str, Any]:
    if field.metadata.get("secret"):
        return {"format": "password", "writeOnly": True}
    return {"format": "uri"} if isinstance(field, Endpoint | WebhookUrl) else {}


def _told(field: fields.Field[Any]) -> dict[str, Any]:
    told = {"title": field.metadata.get("label"), "description": field.metadata.get("help")}
    return {name: text for name, text in told.items() if text}
