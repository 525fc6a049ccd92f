"""Which values a field takes: those that become a part of a host, a path, a header or a line above all."""

from typing import Final

import pytest

from consignee.catalog import Catalog
from consignee.egress import Policy
from consignee.providers import discover
from consignee.secret import Secret
from drafts import CATALOG, COMPATIBLE, S3, problems


@pytest.mark.parametrize("value", ["yes", "on", "2", 2, -1, 1.5, [], [True], {}, "tru", " true", float("nan")])
def test_what_is_neither_true_nor_false(value: object) -> None:
    assert problems({**S3, "enabled": value}) == {"enabled": ["must be true or false"]}


@pytest.mark.parametrize("value", [1, 1.5, True, [], ["x"], {}, {"a": "b"}])
@pytest.mark.parametrize("name", ["name", "s3_bucket_name", "s3_secret_access_key", "s3_path_prefix", "s3_endpoint"])
def test_what_is_not_a_string_is_refused(name: str, value: object) -> None:
    assert problems({**COMPATIBLE, name: value}) == {name: ["must be a string"]}


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\ud800"])
@pytest.mark.parametrize("name", [name for name in COMPATIBLE if name not in ("enabled", "type")])
def test_control_characters_and_half_characters_are_refused(name: str, character: str) -> None:
    """They would become a part of a header, a path, a log line or a file."""
    found = problems({**COMPATIBLE, name: f"x{character}y"})
    assert set(found) == {name}
    assert f"x{character}y" not in str(found)


@pytest.mark.parametrize(
    ("name", "longest"), [("name", 200), ("s3_secret_access_key", 1024), ("s3_access_key_id", 256)]
)
def test_a_field_has_a_longest_form(name: str, longest: int) -> None:
    CATALOG.parse({**S3, name: "x" * longest})
    assert problems({**S3, name: "x" * (longest + 1)}) == {name: [f"must not be longer than {longest} characters"]}


def test_a_name_of_spaces_is_none() -> None:
    assert problems({**S3, "name": "  \u00a0 "}) == {"name": ["is required"]}


HOSTILE_BUCKETS: Final = [
    "../x",
    "..",
    "a/b",
    "a\\b",
    "arn:aws:s3:::x",
    "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap",
    "1.2.3.4",
    "192.168.0.1",
    "https://my-files.s3.amazonaws.com",
    "my-files.s3.amazonaws.com/",
    "my files",
    "my-files?x=y",
    "my-files#x",
    "my-files@evil",
    "my%2ffiles",
    "{bucket}",
    "a..b",
    ".ab",
    "ab.",
    "-ab",
    "ab-",
    "ab",
    "a" * 64,
    "büro",
    "my-files:443",
    "my,files",
]


@pytest.mark.parametrize("bucket", [*HOSTILE_BUCKETS, "My-Files", "my_files", "a.-b"])
def test_what_is_no_bucket_at_amazon(bucket: str) -> None:
    """The name becomes a part of a host's name and of a path."""
    assert set(problems({**S3, "s3_bucket_name": bucket})) == {"s3_bucket_name"}


@pytest.mark.parametrize("bucket", HOSTILE_BUCKETS)
def test_what_is_no_bucket_anywhere(bucket: str) -> None:
    assert set(problems({**COMPATIBLE, "s3_bucket_name": bucket})) == {"s3_bucket_name"}


@pytest.mark.parametrize("bucket", ["abc", "my-files", "my.files", "0a1", "a" * 63, "1.2.3.4a"])
def test_what_is_a_bucket(bucket: str) -> None:
    assert CATALOG.parse({**S3, "s3_bucket_name": bucket}).settings["s3_bucket_name"] == bucket


@pytest.mark.parametrize("bucket", ["My_Files", "UPPER", "under_score"])
def test_look_alikes_have_names_that_amazon_has_not(bucket: str) -> None:
    assert CATALOG.parse({**COMPATIBLE, "s3_bucket_name": bucket}).settings["s3_bucket_name"] == bucket


@pytest.mark.parametrize("region", ["x.evil.com/#", "a/b", "a b", "-a", "a-", "é", "a" * 64, "a.b", "a:1", "a%2f"])
def test_what_is_no_region(region: str) -> None:
    assert set(problems({**COMPATIBLE, "s3_region": region})) == {"s3_region"}


@pytest.mark.parametrize("region", ["auto", "eu-west-1", "us-west-004", "fr-par", "ams3", "default", "US", "a_b", "x"])
def test_what_is_a_region(region: str) -> None:
    assert CATALOG.parse({**COMPATIBLE, "s3_region": region}).settings["s3_region"] == region


@pytest.mark.parametrize("style", ["Path", "dns", "https", "path "])
def test_an_unknown_addressing_style_is_refused(style: str) -> None:
    found = problems({**COMPATIBLE, "s3_addressing_style": style})
    assert found == {"s3_addressing_style": ["must be one of path, virtual, auto"]}


@pytest.mark.parametrize("key_id", ["a b", "a,b", "a/b", "schlüssel", "AKIA/x/s3/aws4_request", " "])
def test_what_is_no_key_id(key_id: str) -> None:
    """It would change what the header of the signature says."""
    found = problems({**S3, "s3_access_key_id": key_id})
    assert set(found) == {"s3_access_key_id"}
    assert key_id == " " or key_id not in str(found)


@pytest.mark.parametrize("key_id", ["AKIAIOSFODNN7EXAMPLE", "test:tester", "a-b_c.d+e=f", "GOOG1EXAMPLE", "!~*"])
def test_what_is_a_key_id(key_id: str) -> None:
    assert CATALOG.parse({**S3, "s3_access_key_id": key_id}).secrets["s3_access_key_id"] == Secret(key_id)


def test_a_secret_is_kept_to_the_last_space() -> None:
    """It may be wrong, but that is for the storage to say; then we hint at it."""
    draft = CATALOG.parse({**S3, "s3_secret_access_key": " a b "})
    assert draft.secrets["s3_secret_access_key"].reveal() == " a b "


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://s3.example.com", "must allow http"),
        ("https://s3.example.com/", "slash"),
        ("https://s3.example.com/bucket", "no path"),
        ("https://u:p@s3.example.com", "user name"),
        ("https://localhost", "private network"),
        ("s3.example.com", "a scheme"),
        ("https://{bucket}.example.com", "letters"),
    ],
)
def test_an_endpoint_is_judged_by_the_policy(endpoint: str, said: str) -> None:
    (text,) = problems({**COMPATIBLE, "s3_endpoint": endpoint})["s3_endpoint"]
    assert said in text


def test_an_endpoint_is_kept_in_one_form() -> None:
    draft = CATALOG.parse({**COMPATIBLE, "s3_endpoint": "HTTPS://S3.Example.COM:443"})
    assert draft.settings["s3_endpoint"] == "https://s3.example.com"


def test_an_operator_may_allow_more() -> None:
    catalog = Catalog(discover().values(), Policy(allow_http=True, allow_names=("minio",)))
    draft = catalog.parse({**COMPATIBLE, "s3_endpoint": "http://minio:9000"})
    assert draft.settings["s3_endpoint"] == "http://minio:9000"


def test_a_number_of_5000_digits_is_neither_true_nor_false() -> None:
    assert problems({**S3, "enabled": 10**5000}) == {"enabled": ["must be true or false"]}
