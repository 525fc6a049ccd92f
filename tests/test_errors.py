"""The tree of errors is as its docstring draws it, and what each says is for customers."""

import inspect
import re
from collections.abc import Iterator

import pytest

from consignee import errors
from consignee.errors import (
    ConsigneeError,
    InvalidDestination,
    InvalidRequest,
    MissingExtra,
    ProviderFailure,
    RateLimited,
    VerificationFailed,
)
from consignee.verification import Report, Step

STEP_CODES = {
    "credentials_rejected",
    "access_denied",
    "bucket_not_found",
    "wrong_region",
    "clock_skew",
    "endpoint_refused",
    "redirect_refused",
    "endpoint_unreachable",
    "tls_failed",
    "timeout",
    "throttled",
    "not_a_storage_service",
    "provider_error",
}
OF_DELIVERIES = {"file_too_large", "key_too_long", "file_damaged"}  # the test file is small, well named, and in memory


def drawn() -> Iterator[tuple[str, int, str | None]]:
    """Yield each line of the docstring's tree: name, depth, and the code if one is given."""
    tree = inspect.getdoc(errors)
    assert tree is not None
    for line in tree.splitlines():
        if match := re.fullmatch(r"( {4,})([A-Z]\w+) +(?:(\w+)(?:: .*)?|.*)", line):
            yield match[2], (len(match[1]) - 4) // 2, match[3]


def classes() -> dict[str, type[ConsigneeError]]:
    """Return all errors of the module by name."""
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: one for name, one in found if issubclass(one, ConsigneeError)}


def test_every_error_is_drawn_in_the_tree_where_it_belongs() -> None:
    above: list[str] = []
    seen = []
    for name, depth, _ in drawn():
        above = [*above[:depth], name]
        seen.append(name)
        assert [base.__name__ for base in classes()[name].__bases__] == ([above[-2]] if depth else ["Exception"])
    assert sorted(seen) == sorted(classes())


def test_the_codes_in_the_tree_are_those_of_the_classes() -> None:
    known = {one.code for one in classes().values()}
    named = {name: code for name, _, code in drawn() if code in known}
    assert len(named) >= len(STEP_CODES)
    assert {name: classes()[name].code for name in named} == named


def test_the_failures_of_a_step_are_those_of_the_interface() -> None:
    """Each has a code of its own, and a hint that says what to do."""
    kinds = ProviderFailure.__subclasses__()
    assert {kind.code for kind in kinds} == STEP_CODES | OF_DELIVERIES
    assert len(kinds) == len(STEP_CODES | OF_DELIVERIES)
    assert all(kind.hint.endswith(".") and len(kind.hint) > 30 for kind in kinds)


def test_a_failure_may_work_later_or_not() -> None:
    transient = {kind.code for kind in ProviderFailure.__subclasses__() if kind.transient}
    assert transient == {"clock_skew", "endpoint_unreachable", "timeout", "throttled", "provider_error"}


def test_a_failure_carries_what_the_provider_said() -> None:
    failure = errors.Throttled("Slow.", hint="Wait.", provider_code="SlowDown", provider_request_id="1", retry_after=7)
    assert str(failure) == "Slow."
    assert (failure.hint, failure.provider_code) == ("Wait.", "SlowDown")
    assert (failure.provider_request_id, failure.retry_after) == ("1", 7)
    bare = errors.Throttled("Slow.")
    assert bare.hint == errors.Throttled.hint
    assert (bare.provider_code, bare.provider_request_id, bare.retry_after) == (None, None, None)


@pytest.mark.parametrize("kind", [InvalidRequest, InvalidDestination])
def test_an_invalid_request_names_its_fields(kind: type[InvalidRequest]) -> None:
    error = kind({"b": ("is required",), "a": ["is wrong", "is long"]})
    assert str(error) == "Invalid: a, b."
    assert error.errors == {"b": ["is required"], "a": ["is wrong", "is long"]}
    assert str(kind({})) == "The request is invalid."
    assert str(kind({"a": []}, "Otherwise.")) == "Otherwise."


def test_others_say_what_to_do() -> None:
    assert RateLimited("Busy.", retry_after=3).retry_after == 3
    assert str(MissingExtra("azure")) == "this destination type needs: pip install 'consignee[azure]'"
    assert MissingExtra("azure").extra == "azure"


def test_a_failed_verification_carries_its_report() -> None:
    report = Report(steps=(Step(step="upload", ok=False, ms=1, code="timeout"),), message="It failed.")
    error = VerificationFailed(report)
    assert (str(error), error.report, error.code) == ("It failed.", report, "timeout")
