"""Collection: what a customer's files belong to, and to which destinations its result sets go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from consignee.errors import InvalidRequest
from consignee.providers.fields import NAME_LENGTH, not_blank, text
from consignee.store import Document

MOST_DESTINATIONS = 100


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection. Times are ISO 8601, UTC; `results_count` result sets were completed so far."""

    account: str
    id: str
    revision: int
    name: str
    destination_ids: Sequence[str]
    created_at: str
    updated_at: str
    results_count: int = 0

    @property
    def next_result_set_id(self) -> int:
        """The number that its next result set gets; the first is 1."""
        return self.results_count + 1


class CollectionFields(Schema):
    """What a customer decides about a collection."""

    class Meta:
        unknown = EXCLUDE

    name = text("Name", required=True, check=not_blank, longest=NAME_LENGTH)
    destination_ids = fields.List(
        fields.String(error_messages={"invalid": "must be a destination's id"}),
        required=True,
        validate=validate.Length(max=MOST_DESTINATIONS, error=f"must not be more than {MOST_DESTINATIONS} ids"),
        error_messages={"required": "is required", "null": "is required", "invalid": "must be a list of ids"},
    )

    @pre_load
    def _split(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """A form sends one string with commas."""
        ids = data.get("destination_ids")
        if not isinstance(ids, str):
            return dict(data)
        return {**data, "destination_ids": [one.strip() for one in ids.split(",") if one.strip()]}


_FIELDS = CollectionFields()


def parse(values: Mapping[str, Any], *, before: Collection | None = None) -> dict[str, Any]:
    """Return the checked name and ids, each once, what is left out taken from `before`; raises InvalidRequest."""
    kept = {"name": before.name, "destination_ids": list(before.destination_ids)} if before else {}
    try:
        loaded: dict[str, Any] = _FIELDS.load({**kept, **values})
    except ValidationError as error:
        raise InvalidRequest({name: _texts(texts) for name, texts in error.messages_dict.items()}) from None
    return {**loaded, "destination_ids": list(dict.fromkeys(loaded["destination_ids"]))}


def _texts(found: Any) -> list[str]:
    return list(found) if isinstance(found, list) else ["must be a list of ids"]


def to_data(collection: Collection) -> dict[str, Any]:
    """Return the stored form."""
    place = ("account", "id", "revision")
    return {name: value for name, value in vars(collection).items() if name not in place}


def from_document(document: Document) -> Collection:
    """Return the collection in a stored document."""
    return Collection(account=document.account, id=document.id, revision=document.revision, **document.data)
