"""The OpenAPI document of the HTTP API, made by apispec from the routes, the schemas and the table of errors.

`python -m consignee.web.openapi` writes it to where it is served from, which is done whenever the package is built; a running
service imports nothing of this. https://spec.openapis.org/oas/v3.1.1.html
"""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter

import consignee
from consignee import errors
from consignee.collection import CollectionFields
from consignee.egress import Policy
from consignee.providers.base import Provider
from consignee.web.bodies import FORM, JSON
from consignee.web.errors import STATUS
from consignee.web.openapi import fields, shapes
from consignee.web.openapi.operations import BYTES, OPERATIONS, Operation, codes_of, parameters_in
from consignee.web.openapi.shapes import Shape, having, ref
from consignee.web.routes import ROUTES
from consignee.web.uploads import MULTIPART

VERSION: Final = "3.1.1"
_INFO: Final = {
    "license": {"name": "MIT", "identifier": "MIT"},
    "description": "The routes of this version, with the destination types that it brings. Paths are relative to where this "
    "document is served. A service may have other types, which GET /destination-types lists, and an application that "
    "embeds it may ask for a login of its own in place of an API key.",
}
_TAGS: Final[Mapping[str, str]] = {
    "destination": "destinations",
    "destinations": "destinations",
    "destination-types": "destinations",
    "collections": "collections",
    "deliveries": "deliveries",
}
_MEANING: Final[Mapping[int, str]] = {
    200: "It was done",
    206: "A part of the file",
    400: "The request is wrong, or the connectivity test failed",
    401: "The API key is missing or unknown",
    404: "There is no such thing in this account",
    408: "The body did not arrive in time",
    409: "Somebody else is at it, or changed it meanwhile",
    413: "The body is too large",
    415: "The body has a type or an encoding that is not accepted",
    416: "The file has no such range",
    422: "Another request came with that key",
    429: "Too much at once: come back after the seconds in Retry-After",
    500: "A fault of the service; its log has more under the request's id",
    503: "Not at the moment: come back after the seconds in Retry-After",
}
_SINGLE: Final = [[code] for code, status in STATUS.items() if status != 400]
_KEYS: Final[Mapping[str, Any]] = {
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_RETRY: Final = "Retry-After"
_HEADERS: Final = ("X-Trace-ID", "Cache-Control", "X-Content-Type-Options")
_FILE: Final[Shape] = {"type": "string", "format": "binary", "contentMediaType": BYTES}


def document(providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the document of an API that has these destination types."""
    plugin = MarshmallowPlugin()
    options = {"info": {**_INFO}, "servers": [{"url": "."}], "security": [{name: []} for name in _KEYS]}
    spec = APISpec("consignee", consignee.__version__, VERSION, [plugin], **options)
    for name, shape in _schemas(list(providers), fields.teach(plugin)).items():
        spec.components.schema(name, shape)
    _add_common(spec)
    for method, path, _ in ROUTES:
        spec.path(path, operations={method.lower(): _operation(method, path, OPERATIONS[method, path])})
    found = spec.to_dict()
    return {name: found[name] for name in ("openapi", *options, "paths", "components")}


def _add_common(spec: APISpec) -> None:
    """What operations refer to, beside the schemas."""
    for (code,) in _SINGLE:
        spec.components.response(code, _response(STATUS[code], "", {JSON: {"schema": _failure([code])}}))
    for name in _HEADERS:
        spec.components.header(name, {"required": True, "schema": shapes.TEXT})
    spec.components.header(_RETRY, {"description": "in seconds", "required": True, "schema": shapes.COUNT})
    for name, scheme in _KEYS.items():
        spec.components.security_scheme(name, scheme)


def _schemas(types: Sequence[Provider], converter: OpenAPIConverter) -> dict[str, Shape]:
    return {
        **shapes.SHAPES,
        **{f"{one.type}Destination": shapes.destination(one) for one in types},
        **{f"{one.type}New": fields.destination(converter, one, partial=False) for one in types},
        **{f"{one.type}Changes": fields.destination(converter, one, partial=True) for one in types},
        "sameTypeChanges": fields.untyped(converter, types),
        "Destination": _one_of(types, "Destination"),
        "NewDestination": _one_of(types, "New"),
        "DestinationChanges": _one_of(types, "Changes", "sameTypeChanges"),
        "Problem": _problem(),
        "NewCollection": fields.body(converter, CollectionFields(Policy()), partial=False),
        "CollectionChanges": fields.body(converter, CollectionFields(Policy()), partial=True),
        "Files": {
            "type": "object",
            "description": "Each part with a filename is a file, whatever the field's name.",
            "properties": {
                "file": {"type": "array", "items": _FILE},
                "started_at": shapes.TEXT,
                "ended_at": shapes.TEXT,
            },
        },
    }


def _one_of(types: Sequence[Provider], suffix: str, *others: str) -> Shape:
    mapping = {name: f"#/components/schemas/{one.type}{suffix}" for one in types for name in (one.type, *one.aliases)}
    chosen = [ref(f"{one.type}{suffix}") for one in types] + [ref(other) for other in others]
    return {"oneOf": chosen, "discriminator": {"propertyName": "type", "mapping": mapping}}


def _operation(method: str, path: str, operation: Operation) -> dict[str, Any]:
    words = [part.strip("{}") for part in path.split("/") if part]
    made: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]).replace("-", "_"),
        "summary": operation.summary,
        "tags": [_TAGS.get(words[0], "service")],
        "parameters": _parameters(path, operation),
        "responses": _responses(method, path, operation),
    }
    if operation.public:
        made["security"] = []
    if operation.body is not None:
        made["requestBody"] = {"required": operation.required, "content": _content(operation)}
    return made


def _parameters(path: str, operation: Operation) -> list[dict[str, Any]]:
    query = [{"in": "query", "schema": operation.query}] if operation.query else []
    headers = [
        {"name": name, "in": "header", "description": does, "schema": shapes.TEXT}
        for name, does in operation.headers.items()
        if name != "Accept"  # which the specification leaves to the content of the answers
    ]
    return [*parameters_in(path), *query, *headers]


def _content(operation: Operation) -> dict[str, Any]:
    if operation.files:
        return {MULTIPART: {"schema": operation.body}}
    lists = {name: {"style": "form", "explode": False} for name in ("ids", "destination_ids")}
    return {JSON: {"schema": operation.body}, FORM: {"schema": operation.body, "encoding": lists}}


def _responses(method: str, path: str, operation: Operation) -> dict[int, Any]:
    found: dict[int, Any] = {200: _response(200, method, {**_success(operation), **_others(operation)})}
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in codes_of(method, path, operation):
        by_status[STATUS[code]].append(code)
    if BYTES in operation.others:
        found[206] = _response(206, method, _others(operation))
        by_status[416] = ["invalid_request"]
    for status, codes in sorted(by_status.items()):
        found[status] = _failures(status, method, codes, tests=operation.tests and status == 400)
    return found


def _failures(status: int, method: str, codes: Sequence[str], *, tests: bool) -> dict[str, Any] | str:
    """A status that has one code alone is the same everywhere."""
    if method != "HEAD" and [*codes] in _SINGLE and STATUS[codes[0]] == status:
        return codes[0]
    failures = [_failure(codes)] + ([ref("Problem")] if tests else [])
    return _response(status, method, {JSON: {"schema": {"anyOf": failures}}})


def _response(status: int, method: str, content: Mapping[str, Any]) -> dict[str, Any]:
    headers = [*_HEADERS, *([_RETRY] if status in (429, 503) else [])]
    found = {"description": _MEANING[status], "headers": {name: name for name in headers}}
    return found if method == "HEAD" else {**found, "content": dict(content)}


def _success(operation: Operation) -> dict[str, Any]:
    if operation.others and not operation.answers:
        return {}
    return {JSON: {"schema": having({"request_info": ref("Succeeded"), **operation.answers})}}


def _others(operation: Operation) -> dict[str, Any]:
    return {media: {"schema": schema} for media, schema in operation.others.items()}


def _failure(codes: Iterable[str]) -> Shape:
    return having({"request_info": _failed(codes), "errors": ref("Errors")}, maybe=["errors"])


def _problem() -> Shape:
    """A connectivity test that failed."""
    failures = [
        one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.ProviderFailure)
    ]
    codes = [one.code for one in failures if one is not errors.ProviderFailure]
    members = {"connectivity_problem": {"const": True}, "connectivity": ref("Connectivity")}
    return having({"request_info": _failed(codes), **members})


def _failed(codes: Iterable[str]) -> Shape:
    return {"allOf": [ref("Failed"), {"properties": {"code": {"enum": list(codes)}}}]}
