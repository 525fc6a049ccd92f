"""The destination types that this service knows, and the way from what a customer sent to checked fields."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from marshmallow import ValidationError
from marshmallow.fields import Field

from consignee.destination import Destination, Draft
from consignee.egress import Policy
from consignee.errors import InvalidDestination, NotFound, StoreError
from consignee.providers.base import Provider
from consignee.providers.fields import DestinationFields


class Catalog:
    """Providers by type, each with its schema."""

    def __init__(self, providers: Iterable[Provider], policy: Policy) -> None:
        self._providers = {provider.type: provider for provider in providers}
        self._schemas = {name: provider.fields(policy) for name, provider in self._providers.items()}
        self._aliases = {alias: one.type for one in self._providers.values() for alias in one.aliases}
        self._common = DestinationFields(policy)

    @property
    def multiline(self) -> frozenset[str]:
        """The names of the fields that may come with line breaks in them."""
        every = [item for schema in self._schemas.values() for item in schema.fields.items()]
        return frozenset(name for name, field in every if field.metadata.get("multiline"))

    @property
    def types(self) -> list[str]:
        """The names of the types."""
        return list(self._providers)

    def provider(self, draft: Draft) -> Provider:
        """Return the provider of a destination; raises StoreError if its type is not served any more."""
        if draft.type not in self._providers:
            raise StoreError(f"destinations of type {draft.type!r} are not served here any more")
        return self._providers[draft.type]

    def parse(self, values: Mapping[str, Any], *, without: Collection[str] = ()) -> Draft:
        """Return the checked fields of a new destination, of which those in `without` may be missing.

        Raises InvalidDestination with every wrong field.
        """
        kind = self._type(values.get("type"))
        schema = self._schemas[kind] if kind else self._common
        errors: dict[str, Any] = {} if kind else {"type": [self._type_problem(values.get("type"))]}
        try:
            draft = schema.draft(kind or "", values, without=without)
        except ValidationError as error:
            errors.update(error.messages_dict)
        if errors:
            raise InvalidDestination(errors)
        return draft

    def merge(self, destination: Destination, values: Mapping[str, Any]) -> Draft:
        """Return the checked fields after a partial update: what is left out stays, and so does an empty secret."""
        kind = self._type(values.get("type")) if "type" in values else destination.type
        schema = self._schemas.get(kind or destination.type, self._common)
        secret = schema.secret_names
        given = {name: value for name, value in values.items() if name not in secret or value not in ("", None)}
        kept = {name: value for name, value in raw(destination).items() if not schema.is_superseded(name, given)}
        return self.parse({**kept, **given})

    def view(self, draft: Draft) -> dict[str, Any]:
        """Return the non-secret fields of the draft's own type, null where not set, and which secrets are set."""
        schema = self._schemas.get(draft.type, self._common)
        settings = {name: draft.settings.get(name) for name in schema.setting_names}
        return {**settings, "secrets_set": [name for name in schema.secret_names if draft.secrets.get(name)]}

    def policy(self, draft: Draft) -> Mapping[str, Any]:
        """Return the smallest policy that lets the destination work, to paste; raises NotFound if its type has none."""
        make = self.provider(draft).policy
        if make is None:
            raise NotFound("Destinations of this type have no policy.")
        return make(draft)

    def policy_for(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the policy that a destination with these fields would need; its name and secrets do not matter.

        Raises InvalidDestination with every other wrong field, and NotFound.
        """
        schema = self._schemas.get(self._type(values.get("type")) or "", self._common)
        secret = schema.secret_names
        given = {name: value for name, value in values.items() if name not in secret}
        return self.policy(self.parse({**given, "name": "-", "enabled": False}, without=secret))

    def describe(self) -> list[dict[str, Any]]:
        """Return the types with their fields: what a form or a page of documentation is drawn from."""
        return [
            {
                "type": provider.type,
                "label": provider.label,
                "fields": [_describe(name, field) for name, field in self._schemas[name_].fields.items()],
            }
            for name_, provider in self._providers.items()
        ]

    def canonical(self, type: str | None) -> str | None:  # noqa: A002
        """Return a type's own name for another accepted spelling of it; anything else as it is."""
        return self._aliases.get(type, type) if type else type

    def _type(self, value: object) -> str | None:
        if not isinstance(value, str):
            return None
        value = self.canonical(value)
        return value if value in self._providers else None

    def _type_problem(self, value: object) -> str:
        if value is None or value == "":
            return "is required"
        return "must be one of " + ", ".join(self._providers)


def raw(draft: Draft) -> dict[str, Any]:
    """Return a draft's fields as a customer would send them, the secrets revealed."""
    secrets = {name: secret.reveal() for name, secret in draft.secrets.items()}
    return {"type": draft.type, "name": draft.name, "enabled": draft.enabled, **draft.settings, **secrets}


def _describe(name: str, field: "Field[Any]") -> dict[str, Any]:
    choices: Mapping[str, str] = field.metadata.get("choices", {})
    return {
        "name": name,
        "label": field.metadata["label"],
        "required": field.required,
        "secret": bool(field.metadata.get("secret")),
        "help": field.metadata.get("help", ""),
        "choices": [{"value": value, "label": label} for value, label in choices.items()],
        "multiline": bool(field.metadata.get("multiline")),
        "unless": field.metadata.get("unless") or None,
    }
