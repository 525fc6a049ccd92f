"""How a partial update is merged into what is there."""

from dataclasses import replace
from typing import Any

import pytest

from consignee.destination import Destination, Draft
from consignee.errors import InvalidDestination, StoreError
from consignee.secret import Secret
from drafts import CATALOG, COMPATIBLE, S3, saved


def test_a_partial_update_leaves_the_rest() -> None:
    before = saved({**COMPATIBLE, "s3_path_prefix": "a"})
    assert CATALOG.merge(before, {}) == before.draft
    after = CATALOG.merge(before, {"name": "Other", "s3_bucket_name": "other-files"})
    assert (after.name, after.settings["s3_bucket_name"]) == ("Other", "other-files")
    assert after.settings["s3_path_prefix"] == "a"
    assert after.secrets == before.secrets


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_secret_stays(empty: object) -> None:
    """Forms send every field, and a secret is never shown to be sent back."""
    before = saved(S3)
    after = CATALOG.merge(before, {"s3_secret_access_key": empty, "s3_access_key_id": empty})
    assert after == before.draft


def test_a_new_secret_takes_the_place_of_the_old() -> None:
    after = CATALOG.merge(saved(S3), {"s3_secret_access_key": "new"})
    assert after.secrets["s3_secret_access_key"] == Secret("new")
    assert after.secrets["s3_access_key_id"] == Secret(S3["s3_access_key_id"])


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_optional_field_is_cleared(empty: object) -> None:
    before = saved({**COMPATIBLE, "s3_path_prefix": "a", "s3_region": "eu-west-1"})
    after = CATALOG.merge(before, {"s3_path_prefix": empty})
    assert "s3_path_prefix" not in after.settings
    assert after.settings["s3_region"] == "eu-west-1"


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("name", ["name", "enabled", "s3_bucket_name", "type"])
def test_an_empty_required_field_is_no_change_but_wrong(name: str, empty: object) -> None:
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {name: empty})
    assert refused.value.errors == {name: ["is required"]}


def test_a_wrong_type_in_an_update_is_named() -> None:
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {"type": "ftp", "s3_secret_access_key": ""})
    assert set(refused.value.errors) == {"type"}


def test_a_type_can_be_changed_if_its_fields_come_too() -> None:
    """What both types have stays; what the new one lacks goes."""
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {"type": "s3compatible"})
    assert refused.value.errors == {"s3_endpoint": ["is required"]}
    there = CATALOG.merge(saved(S3), {"type": "s3_compatible", "s3_endpoint": "https://s3.example.com"})
    assert there == CATALOG.parse(COMPATIBLE)
    back = CATALOG.merge(saved({**COMPATIBLE, "s3_region": "eu-west-1"}), {"type": "s3"})
    assert back == CATALOG.parse(S3)


def test_a_type_that_is_not_served_any_more() -> None:
    """Shown without its fields and not tested; an update must give it a type that is."""
    gone = Draft(type="gone", name="x", enabled=True, settings={"gone_bucket": "b"}, secrets={"gone_key": Secret("k")})
    with pytest.raises(StoreError, match="'gone' are not served"):
        CATALOG.provider(gone)
    assert CATALOG.view(gone) == {"secrets_set": []}
    place: dict[str, Any] = {"account": "a", "id": "A", "revision": 1, "created_at": "", "updated_at": ""}
    before = Destination(**vars(gone), **place)
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(before, {"name": "y"})
    assert set(refused.value.errors) == {"type"}
    assert CATALOG.merge(before, {**S3, "name": "y"}) == replace(CATALOG.parse(S3), name="y")
