"""The query string of a list, as marshmallow reads it."""

from typing import Any

from aiohttp import web
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from consignee.errors import InvalidRequest
from consignee.listing import DIRECTIONS, LARGEST_PAGE, PAGE_SIZE, SORTS, Listing
from consignee.providers.fields import Truth
from consignee.web.bodies import read_query

_LARGEST = 10**9


def _whole(most: int, default: int) -> fields.Integer:
    problem = f"must be a whole number from 1 to {most}"
    within = validate.Range(1, most, error=problem)
    return fields.Integer(load_default=default, validate=within, error_messages={"invalid": problem})


class ListingSchema(Schema):
    """What a list may be asked for."""

    class Meta:
        unknown = EXCLUDE

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
    page = _whole(_LARGEST, 1)
    page_size = _whole(LARGEST_PAGE, PAGE_SIZE)


_LISTING = ListingSchema()


def read_listing(request: web.Request) -> Listing:
    """Return what a list was asked for; raises InvalidRequest with every wrong parameter."""
    query = read_query(request)
    errors: dict[str, Any] = {
        name: ["is given more than once"]
        for name, values in query.items()
        if name in _LISTING.fields and len(values) > 1
    }
    try:
        listing = Listing(**_LISTING.load({name: values[0] for name, values in query.items() if values[0]}))
    except ValidationError as error:
        errors |= error.messages_dict
    if errors:
        raise InvalidRequest(errors)
    return listing
