"""The query string of a list, as marshmallow reads it."""

from typing import Any

from aiohttp import web
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from consignee.errors import InvalidRequest
from consignee.listing import DIRECTIONS, LARGEST_PAGE, PAGE_SIZE, SORTS, Listing
from consignee.providers.fields import Truth
from consignee.web.bodies import read_query

_LARGEST = 10**9


class _Digits(fields.Integer):
    """A number in digits alone: Python itself also reads 1_0, +1 and digits of other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdigit()):
            raise self.make_error("invalid")
        return super()._deserialize(value[:20], attr, data, **kwargs)


def _whole(most: int, default: int) -> fields.Integer:
    problem = f"must be a whole number from 1 to {most}"
    within = validate.Range(1, most, error=problem)
    return _Digits(load_default=default, validate=within, error_messages={"invalid": problem})


class PageSchema(Schema):
    """Which page of a list is asked for."""

    class Meta:
        unknown = EXCLUDE

    page = _whole(_LARGEST, 1)
    page_size = _whole(LARGEST_PAGE, PAGE_SIZE)


class ListingSchema(PageSchema):
    """What a list of destinations may be asked for."""

    search_term = fields.String(load_default="")
    enabled = Truth(load_default=None)
    type = fields.String(load_default=None)
    sort_by = fields.String(
        load_default=None, validate=validate.OneOf(SORTS, error="must be one of " + ", ".join(SORTS))
    )
    sort_direction = fields.String(
        load_default="ascending",
        validate=validate.OneOf(DIRECTIONS, error="must be one of " + ", ".join(DIRECTIONS)),
    )


_LISTING = ListingSchema()
_PAGE = PageSchema()


def read_listing(request: web.Request) -> Listing:
    """Return what a list of destinations was asked for; raises InvalidRequest with every wrong parameter."""
    return Listing(**_load(request, _LISTING))


def read_page(request: web.Request) -> tuple[int, int]:
    """Return which page, from 1, of how many entries is asked for; raises InvalidRequest."""
    found = _load(request, _PAGE)
    return found["page"], found["page_size"]


def _load(request: web.Request, schema: Schema) -> dict[str, Any]:
    query = read_query(request)
    errors: dict[str, Any] = {
        name: ["is given more than once"] for name, values in query.items() if name in schema.fields and len(values) > 1
    }
    loaded: dict[str, Any] = {}
    try:
        loaded = schema.load({name: values[0] for name, values in query.items() if values[0]})
    except ValidationError as error:
        errors |= error.messages_dict
    if errors:
        raise InvalidRequest(errors)
    return loaded
