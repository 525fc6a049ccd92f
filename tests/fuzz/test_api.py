"""The service is what its own document says, whatever is sent: what fits the document, and what does not."""

import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from consignee.providers import discover
from consignee.web.openapi import document

from .target import CANARIES, KEY, NOWHERE, SECONDS, Known, Target, destination, known

Operation = APIOperation[Any, Any, Any, Any]

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,  # the last one: see `is_sent`
]
REJECTED: Final = ["400", "401", "404", "408", "409", "413", "415", "416", "422", "429"]
TIMEOUT: Final = 20.0
"""Seconds for a request to arrive: good ones must not be cut off, however slow the machine is."""
EXAMPLES: Final = 3
"""For each operation, in each mode, in each round."""
GOOD: Final = {"s3": destination(), "s3compatible": destination(type="s3compatible", s3_endpoint=NOWHERE)}
COLLECTION: Final = {"name": "Figures", "destination_ids": [], "notification_webhook": NOWHERE}

schemathesis.openapi.format("uri", st.sampled_from([NOWHERE, "http://127.0.0.1:1", "ftp://[::1]", "https://", "::"]))


def operations(described: dict[str, Any]) -> list[Operation]:
    """Return every operation of a document."""
    checks = {"negative_data_rejection": {"expected-statuses": REJECTED}}
    config = schemathesis.Config.from_dict({"checks": checks, "generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_dict(described, config=config)
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found), found
    return [one.ok() for one in found if isinstance(one, Ok)]


def rounds(found: Known, operation: Operation) -> Iterator[st.SearchStrategy[Case[Any]]]:
    """Yield the ways to call an operation: as its document has it and not, each with ids that exist and that do not."""
    there = found.parameters.get(operation.path.split("/")[1], {})
    named = {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}
    yield operation.as_strategy(GenerationMode.POSITIVE)
    yield operation.as_strategy(GenerationMode.POSITIVE, path_parameters=named)
    if named:
        yield operation.as_strategy(GenerationMode.NEGATIVE)
    if operation.body or operation.query:
        yield operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=named)


def require_ours(response: Response) -> None:
    """Raise AssertionError for an answer that is not in our envelope, or says more than it may."""
    text = response.text
    (trace_id,) = response.headers["x-trace-id"]
    (kind,) = response.headers["content-type"]
    assert trace_id
    assert not [one for one in ("Traceback", "<html", ".py", *CANARIES) if one in text], text
    if kind.startswith("application/json") and text and response.request.path_url != "/openapi.json":
        assert response.json()["request_info"]["success"] is (response.status_code < 400), text


def explore(target: Target, strategy: st.SearchStrategy[Case[Any]], session: requests.Session, *, number: int) -> int:
    """Make so many calls, and return how many; a round has always the same ones."""
    made = 0

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, better=st.booleans())
    def check(case: Case[Any], better: bool) -> None:
        nonlocal made
        made += 1
        if better and case.meta and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
            case.body = {**case.body, **GOOD.get(str(case.body.get("type")), COLLECTION)}
        response = case.call(base_url=target.serving.url, session=session, timeout=60)
        require_ours(response)
        case.validate_response(response, checks=CHECKS if is_sent(case, response) else CHECKS[:-1])

    check()
    return made


def is_sent(case: Case[Any], response: Response) -> bool:
    """Whether a query went out as it was meant: an empty list has no form there, and [""] and null that of an empty text."""
    sent = parse_qs(urlsplit(str(response.request.url)).query, keep_blank_values=True)
    return all(name in sent and (value == "" or sent[name] != [""]) for name, value in (case.query or {}).items())


def test_the_service_is_what_its_document_says(target: Target) -> None:
    """Half of `FUZZ_SECONDS` long; the first round, which is the same each time, goes through everything."""
    every = operations(document(discover().values()))
    end, calls, number = time.monotonic() + SECONDS, 0, 0
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        while number == 0 or time.monotonic() < end:
            for operation in every:
                for strategy in rounds(known(target), operation):
                    calls += explore(target, strategy, session, number=number)
            number += 1
    print(f"{calls} calls of {len(every)} operations in {number} rounds, all as documented")  # noqa: T201
    assert calls > 5 * len(every)


WRONG: Final[dict[str, dict[str, Any]]] = {
    "another status": {"responses": {"404": {"description": ""}}},
    "another type": {"responses": {"200": {"description": "", "content": {"text/html": {}}}}},
    "another member": {
        "responses": {
            "200": {"description": "", "content": {"application/json": {"schema": {"required": ["nothing"]}}}}
        }
    },
    "another header": {
        "responses": {"200": {"description": "", "headers": {"X-Nothing": {"required": True, "schema": {}}}}}
    },
    "another parameter": {
        "parameters": [{"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}}],
        "responses": {"200": {"description": ""}},
    },
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_document_that_is_wrong_would_be_found_out(target: Target, wrong: dict[str, Any]) -> None:
    """Else the test above would mean nothing."""
    described = {"openapi": "3.1.1", "info": {"title": "", "version": ""}, "paths": {"/account": {"get": wrong}}}
    (operation,) = operations(described)
    mode = GenerationMode.NEGATIVE if "parameters" in wrong else GenerationMode.POSITIVE
    strategy = operation.as_strategy(mode)
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        with pytest.raises(FailureGroup):
            explore(target, strategy, session, number=0)
