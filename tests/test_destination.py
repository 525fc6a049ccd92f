"""A destination as a stored document, and back."""

import json
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import pytest

from consignee.destination import Destination, from_document, to_data
from consignee.errors import StoreError
from consignee.secret import Sealer, Secret
from consignee.store import Document

SEALER = Sealer(bytes(range(32)))
DESTINATION = Destination(
    type="s3",
    name="Möwe",
    enabled=True,
    settings={"s3_bucket_name": "my-files"},
    secrets={"s3_access_key_id": Secret("AKIACANARY"), "s3_secret_access_key": Secret("hunter2")},
    account="acme",
    id="ABCD1234",
    revision=3,
    created_at="2026-01-02T03:04:05.678Z",
    updated_at="2026-01-03T03:04:05.678Z",
    found={"region": "eu-west-1"},
    last_test={"ok": True, "at": "2026-01-03T03:04:05.678Z", "connectivity": {}},
)


def stored(destination: Destination = DESTINATION, **changes: Any) -> Document:
    """Return the document of the destination, by way of JSON as in a store."""
    data = json.loads(json.dumps(to_data(destination, SEALER)))
    place = {"account": destination.account, "id": destination.id, "revision": destination.revision, **changes}
    return Document(**place, data=data)


def test_it_comes_back_as_it_was() -> None:
    assert from_document(stored(), SEALER) == DESTINATION
    bare = replace(DESTINATION, settings={}, secrets={}, found={}, last_test=None, enabled=False)
    assert from_document(stored(bare), SEALER) == bare


def test_no_secret_is_in_the_document() -> None:
    """Neither the key id, which is sealed like the secret itself."""
    document = json.dumps(to_data(DESTINATION, SEALER))
    assert "hunter2" not in document
    assert "AKIACANARY" not in document
    assert set(json.loads(document)["secrets"]) == {"s3_access_key_id", "s3_secret_access_key"}


def test_the_place_is_not_in_the_data() -> None:
    """The document has it, and it can't disagree with itself."""
    assert not {"account", "id", "revision"} & set(to_data(DESTINATION, SEALER))


@pytest.mark.parametrize("moved", [{"account": "other"}, {"id": "ABCD1235"}, {"revision": 4}])
def test_a_document_that_was_moved_does_not_open(moved: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="belongs elsewhere"):
        from_document(stored(**moved), SEALER)


def test_secrets_that_were_exchanged_do_not_open() -> None:
    document = stored()
    secrets = dict(document.data["secrets"])
    names = sorted(secrets)
    secrets[names[0]], secrets[names[1]] = secrets[names[1]], secrets[names[0]]
    with pytest.raises(StoreError, match="belongs elsewhere"):
        from_document(replace(document, data={**document.data, "secrets": secrets}), SEALER)


def test_reading_leaves_the_document_alone() -> None:
    """The store may keep it."""
    document = stored()
    from_document(document, SEALER)
    assert from_document(document, SEALER) == DESTINATION


def test_it_never_prints_a_secret() -> None:
    for shown in (repr(DESTINATION), str(DESTINATION.draft), f"{DESTINATION}"):
        assert "hunter2" not in shown
        assert "AKIACANARY" not in shown
        assert "***" in shown


def test_it_can_not_be_changed_or_taken_apart_by_accident() -> None:
    with pytest.raises(FrozenInstanceError):
        DESTINATION.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        asdict(DESTINATION)


def test_the_draft_is_what_a_customer_decides() -> None:
    assert set(vars(DESTINATION.draft)) == {"type", "name", "enabled", "settings", "secrets"}
    later = replace(DESTINATION, revision=9, found={}, last_test=None, updated_at="later")
    assert later.draft == DESTINATION.draft
