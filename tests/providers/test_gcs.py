"""The fields of Google Cloud Storage: two kinds of credentials, of which a destination has one."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from canaries import HMAC_SECRET
from consignee.errors import InvalidDestination
from consignee.secret import Secret
from drafts import CATALOG, problems, saved
from fakes.google_oauth import TokenService

JSON: Final = "gcs_service_account_json"
ACCOUNT: Final = TokenService(lambda: 0.0).service_account("writer@demo-project.iam.gserviceaccount.com")
BASE: Final[Mapping[str, Any]] = {"name": "Mine", "enabled": True, "type": "gcs", "gcs_bucket_name": "my-files"}
HMAC: Final = {"gcs_access_key": "GOOG1EXAMPLE", "gcs_secret_key": HMAC_SECRET}
BY_HMAC: Final = {**BASE, **HMAC}
BY_ACCOUNT: Final = {**BASE, JSON: ACCOUNT}


def test_each_kind_of_credentials_is_enough() -> None:
    assert set(CATALOG.parse(BY_HMAC).secrets) == set(HMAC)
    assert set(CATALOG.parse(BY_ACCOUNT).secrets) == {JSON}


def test_forms_send_the_other_kind_empty() -> None:
    assert set(CATALOG.parse({**BY_HMAC, JSON: ""}).secrets) == set(HMAC)
    assert set(CATALOG.parse({**BY_ACCOUNT, "gcs_access_key": "", "gcs_secret_key": ""}).secrets) == {JSON}


def test_an_object_and_its_text_mean_the_same() -> None:
    """The text as it is in the file, with its line breaks; its order and its spaces are not kept."""
    as_object = CATALOG.parse(BY_ACCOUNT).secrets
    for text in (json.dumps(ACCOUNT), json.dumps(ACCOUNT, indent=2), f"\r\n{json.dumps(ACCOUNT, indent=2)}\n"):
        assert CATALOG.parse({**BASE, JSON: text}).secrets == as_object


def test_both_kinds_at_once_are_refused() -> None:
    """Which of them is meant, nobody can know."""
    assert problems({**BY_HMAC, JSON: ACCOUNT}) == {name: [f"must not be given beside {JSON}"] for name in HMAC}
    one = {**BY_ACCOUNT, "gcs_secret_key": "x"}
    assert problems(one) == {"gcs_secret_key": [f"must not be given beside {JSON}"]}


def test_neither_kind_is_a_wrong_field_each() -> None:
    assert problems(BASE) == {name: ["is required"] for name in HMAC}
    assert problems({**BASE, JSON: None}) == {name: ["is required"] for name in HMAC}


@pytest.mark.parametrize("name", HMAC)
def test_half_a_pair_of_keys_is_not_enough(name: str) -> None:
    given = {key: value for key, value in BY_HMAC.items() if key != name}
    assert problems(given) == {name: ["is required"]}


def test_a_service_account_takes_the_place_of_the_keys() -> None:
    after = CATALOG.merge(saved(BY_HMAC), {JSON: ACCOUNT})
    assert after == CATALOG.parse(BY_ACCOUNT)


def test_the_keys_take_the_place_of_a_service_account() -> None:
    after = CATALOG.merge(saved(BY_ACCOUNT), HMAC)
    assert after == CATALOG.parse(BY_HMAC)


def test_half_a_pair_does_not_take_the_place_of_a_service_account() -> None:
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(BY_ACCOUNT), {"gcs_access_key": HMAC["gcs_access_key"]})
    assert refused.value.errors == {"gcs_secret_key": ["is required"]}


@pytest.mark.parametrize("before", [BY_HMAC, BY_ACCOUNT], ids=["keys", "account"])
def test_another_field_changes_no_credentials(before: Mapping[str, Any]) -> None:
    """Also where the form sends all that is secret empty, as it was not shown."""
    empty = dict.fromkeys([*HMAC, JSON], "")
    after = CATALOG.merge(saved(before), {"gcs_bucket_name": "others", **empty})
    assert after.secrets == saved(before).secrets
    assert after.settings["gcs_bucket_name"] == "others"


def test_one_new_key_is_a_change_of_that_one() -> None:
    after = CATALOG.merge(saved(BY_HMAC), {"gcs_secret_key": "new"})
    assert after.secrets["gcs_secret_key"] == Secret("new")
    assert after.secrets["gcs_access_key"] == Secret(HMAC["gcs_access_key"])


def test_which_kind_is_set_is_shown_and_nothing_of_it() -> None:
    view = CATALOG.view(CATALOG.parse(BY_ACCOUNT))
    assert view == {"gcs_bucket_name": "my-files", "gcs_path_prefix": None, "secrets_set": [JSON]}
    assert CATALOG.view(CATALOG.parse(BY_HMAC))["secrets_set"] == list(HMAC)


@pytest.mark.parametrize("name", ["abc", "my-files", "my_files", "a.b", "x" * 63, f"{'x' * 63}.{'y' * 63}", "1a2"])
def test_the_name_of_a_bucket(name: str) -> None:
    """https://cloud.google.com/storage/docs/buckets#naming"""
    assert CATALOG.parse({**BY_HMAC, "gcs_bucket_name": name}).settings["gcs_bucket_name"] == name


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "A-bucket", "-ab", "ab-", "_ab", "ab_", "a..b", ".ab", "ab.", "a b", "ab\n", "bücket", "{bucket}"),
        *("a/b", "../x", "a\\b", "a:b", "a?b", "a#b", "a%2fb", "bucket@127.0.0.1", "gs://bucket"),
        "https://storage.googleapis.com/bucket",
        *("192.168.1.1", "169.254.169.254", "x" * 64, f"{'x' * 63}." * 4),
    ],
)
def test_what_is_no_name_of_a_bucket(name: str) -> None:
    """It becomes a part of the URL, or of the host."""
    assert list(problems({**BY_HMAC, "gcs_bucket_name": name})) == ["gcs_bucket_name"]


@pytest.mark.parametrize("key_id", ["GOOG1 EXAMPLE", "a/b", "a,b", "é", "a\nb", "x" * 257])
def test_what_is_no_access_key(key_id: str) -> None:
    assert list(problems({**BY_HMAC, "gcs_access_key": key_id})) == ["gcs_access_key"]
