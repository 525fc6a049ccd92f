"""The query string of a list, as marshmallow reads it."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from consignee.delivery.delivery import STATUSES
from consignee.delivery.search import Filter, Place
from consignee.errors import InvalidRequest
from consignee.listing import DIRECTIONS, LARGEST_PAGE, PAGE_SIZE, SORTS, Listing
from consignee.providers.fields import Truth
from consignee.web.bodies import read_query

if TYPE_CHECKING:
    PlaceField = fields.Field[tuple[str, str]]
else:
    PlaceField = fields.Field  # marshmallow 3 has no generic fields

_LARGEST = 10**9
_LONGEST_KEPT: Final = 200
"""Characters of what is asked for that is remembered."""


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


class Cursor(PlaceField):
    """Where a list goes on: behind what was created then and has that id. To the customer it is any text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, str]:
        try:
            created_at, id_ = json.loads(base64.urlsafe_b64decode(value))
        except (ValueError, TypeError, RecursionError):
            raise ValidationError("must be the next_cursor of an earlier answer") from None
        if not (isinstance(created_at, str) and isinstance(id_, str)):
            raise ValidationError("must be the next_cursor of an earlier answer")
        return created_at, id_


def cursor(created_at: str, id: str) -> str:  # noqa: A002
    """Return the cursor of a list that goes on behind that entry."""
    return base64.urlsafe_b64encode(json.dumps([created_at, id]).encode()).decode()


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


class DeliveriesSchema(Schema):
    """What a list of deliveries may be asked for."""

    class Meta:
        unknown = EXCLUDE

    collection_id = fields.String(load_default=None)
    destination_id = fields.String(load_default=None)
    status = fields.String(
        load_default=None, validate=validate.OneOf(STATUSES, error="must be one of " + ", ".join(STATUSES))
    )
    page_size = _whole(LARGEST_PAGE, PAGE_SIZE)
    cursor = Cursor(load_default=None)


_LISTING = ListingSchema()
_DELIVERIES = DeliveriesSchema()
_PAGE = PageSchema()


def read_listing(request: web.Request) -> Listing:
    """Return what a list of destinations was asked for; raises InvalidRequest with every wrong parameter."""
    query = read_query(request)
    asked = tuple((name, value) for name, values in query.items() if name in _LISTING.fields for value in values)
    if sum(len(value) for _, value in asked) > _LONGEST_KEPT:
        return Listing(**_load(query, _LISTING))
    return _listing(asked)


@lru_cache(maxsize=1000)
def _listing(asked: tuple[tuple[str, str], ...]) -> Listing:
    query: dict[str, list[str]] = {}
    for name, value in asked:
        query.setdefault(name, []).append(value)
    return Listing(**_load(query, _LISTING))


def read_page(request: web.Request) -> tuple[int, int]:
    """Return which page, from 1, of how many entries is asked for; raises InvalidRequest."""
    found = _load(read_query(request), _PAGE)
    return found["page"], found["page_size"]


def read_deliveries(request: web.Request) -> tuple[Filter, int, Place | None]:
    """Return which deliveries are asked for, how many, and behind which one; raises InvalidRequest."""
    found = _load(read_query(request), _DELIVERIES)
    return (
        Filter(**{name: found[name] for name in ("collection_id", "destination_id", "status")}),
        found["page_size"],
        found["cursor"],
    )


def _load(query: Mapping[str, Sequence[str]], schema: Schema) -> dict[str, Any]:
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
