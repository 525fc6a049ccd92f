"""The fields of a destination, described once: validation, redaction, `GET /destination-types` and forms follow from here."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from consignee import path_prefix
from consignee.destination import Draft
from consignee.egress import EndpointInvalid, Policy
from consignee.secret import Secret

if TYPE_CHECKING:
    BoolField = fields.Field[bool]
else:
    BoolField = fields.Field  # marshmallow 3 has no generic fields

_MESSAGES: Final[dict[str, Any]] = {
    "required": "is required",
    "null": "is required",
    "invalid": "must be a string",
    "invalid_utf8": "must be valid UTF-8",
}
NAME_LENGTH: Final = 200
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROLS_IN_LINES: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


def text_problem(value: str, *, multiline: bool = False) -> str | None:
    """Return what makes a string unfit to be stored or sent anywhere, or None; `multiline` allows line breaks and tabs."""
    if value.isascii() and value.isprintable():
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return "must be valid Unicode, without lone surrogates"
    if (_CONTROLS_IN_LINES if multiline else _CONTROLS).search(value):
        return "must not contain control characters"
    return None


class Text(fields.String):
    """A string that can be stored, sent and shown."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if problem := text_problem(text):
            raise ValidationError(problem)
        return text

    def _validate(self, value: Any) -> None:
        """As marshmallow has it, but without making an object for each value that does so."""
        wrong: list[Any] = []
        for check in self.validators:
            try:
                check(value)
            except ValidationError as error:
                wrong += error.messages
        if wrong:
            raise ValidationError(wrong)


class Truth(BoolField):
    """JSON's true and false, and what forms send for them: true, false, 1, 0 in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        word = str(value).lower() if isinstance(value, str | bool) or value in (0, 1) else ""
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValidationError("must be true or false")


class Endpoint(Text):
    """The URL of a storage service: scheme, host and port, judged by the egress policy that its schema was given."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        assert isinstance(self.parent, DestinationFields)
        try:
            return self.parent.policy.parse_endpoint(text).url
        except EndpointInvalid as error:
            raise ValidationError(str(error)) from error


Check = Callable[[str], None]


def text(
    label: str,
    *,
    required: bool = False,
    secret: bool = False,
    help: str = "",  # noqa: A002
    choices: Mapping[str, str] | None = None,
    check: Check | None = None,
    longest: int = 1024,
    field: type[Text] = Text,
    unless: str = "",
    multiline: bool = False,
) -> Text:
    """Describe one field: `choices` maps what is sent to what a person reads, `longest` is in characters.

    `unless` names the field that can be given in its place. What is `multiline` may come with line breaks in it.
    """
    metadata = {"label": label, "secret": secret, "help": help, "choices": dict(choices or {})}
    metadata |= {"unless": unless, "multiline": multiline, "longest": longest}
    checks = [_at_most(longest)] + ([check] if check else [])
    return field(required=required, allow_none=False, validate=checks, error_messages=_MESSAGES, metadata=metadata)


def _at_most(longest: int) -> Check:
    def check(value: str) -> None:
        if len(value) > longest:
            raise ValidationError(f"must not be longer than {longest} characters")

    return check


def matching(pattern: str, what: str) -> Check:
    """Return a check that a whole string matches `pattern`; `what` completes the sentence "must be ..."."""
    compiled = re.compile(pattern)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ValidationError(f"must be {what}")

    return check


KEY_ID: Final = matching(r"[!-+\--.0-~]+", "an access key ID: without spaces, commas or slashes")


def _prefix(value: str) -> None:
    if found := path_prefix.problems(value):
        raise ValidationError(found)


def not_blank(value: str) -> None:
    """Raise ValidationError for a string of white space alone."""
    if not value.strip():
        raise ValidationError(_MESSAGES["required"])


def prefix(label: str = "Path prefix") -> Text:
    """Describe the path prefix of a destination."""
    tokens = ", ".join(f"%{token}%" for token in path_prefix.TOKENS)
    return text(label, help=f"Folder of the files in the bucket; may hold {tokens}.", check=_prefix)


class DestinationFields(Schema):
    """The fields of every type; each type's own follow in its module. `prefix_field` names the one with the path prefix."""

    class Meta:
        unknown = EXCLUDE

    prefix_field: ClassVar[str] = ""

    name = text("Name", required=True, check=not_blank, longest=NAME_LENGTH)
    enabled = Truth(
        required=True,
        error_messages=_MESSAGES,
        metadata={"label": "Enabled", "help": "Whether result sets are delivered to it."},
    )

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008
        super().__init__()
        self.policy = policy

    @pre_load
    def _drop_empty(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None and value != ""}

    @cached_property
    def secret_names(self) -> list[str]:
        """The names of the fields that must never be shown."""
        return [name for name, field in self.fields.items() if field.metadata.get("secret")]

    @cached_property
    def alternatives(self) -> dict[str, str]:
        """From each field that another can take the place of to that other."""
        return {name: other for name, field in self.fields.items() if (other := field.metadata.get("unless"))}

    def is_superseded(self, name: str, given: Mapping[str, Any]) -> bool:
        """Whether what was saved for a field gives way to what is given now for its alternative, either way round."""
        if not self.alternatives:
            return False
        others = {self.alternatives.get(name), *(each for each, other in self.alternatives.items() if other == name)}
        return any(other in given for other in others)

    @cached_property
    def setting_names(self) -> list[str]:
        """The names of this type's own fields that may be shown."""
        return [name for name in self.fields if name not in ("name", "enabled", *self.secret_names)]

    def draft(self, type: str, values: Mapping[str, Any], *, without: Collection[str] = ()) -> Draft:  # noqa: A002
        """Return the checked fields, of which those in `without` may be missing.

        Raises marshmallow's ValidationError with every wrong field at once.
        """
        replaced = {name for name, other in self.alternatives.items() if values.get(other) not in (None, "")}
        loaded: dict[str, Any] = self.load(values, partial=replaced.union(without) or None)
        if both := sorted(replaced & loaded.keys()):
            raise ValidationError({name: [f"must not be given beside {self.alternatives[name]}"] for name in both})
        return Draft(
            type=type,
            name=loaded["name"],
            enabled=loaded["enabled"],
            settings={name: loaded[name] for name in self.setting_names if name in loaded},
            secrets={name: Secret(loaded[name]) for name in self.secret_names if name in loaded},
        )
