"""The fields of a collection, and its stored form."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import pytest

from consignee.collection import Collection, CollectionFields, from_document, parse, to_data
from consignee.egress import AllowRule, Policy
from consignee.errors import InvalidRequest, StoreError
from consignee.secret import Sealer, Secret
from consignee.store import Document

SEALER: Final = Sealer(bytes(32))
CANARY: Final = "whsec_" + base64.b64encode(b"a canary of twenty-four b").decode()
COLLECTION: Final = Collection(
    account="ann",
    id="ABCD0123",
    revision=2,
    name="Reports",
    destination_ids=["0123ABCD"],
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-02T00:00:00.000Z",
    notification_webhook="https://hooks.example.com/?token=canary",
    secrets={"notification_webhook_secret": Secret(CANARY)},
    manifest=True,
)
OLD: Final[Mapping[str, Any]] = {
    "name": "Reports",
    "destination_ids": ["0123ABCD"],
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-02T00:00:00.000Z",
    "results_count": 4,
}


def parsed(policy: Policy = Policy(), **values: Any) -> dict[str, Any]:  # noqa: B008
    """Return the checked members of a new collection with these fields."""
    return parse({"name": "Reports", "destination_ids": [], **values}, CollectionFields(policy))


def problems(policy: Policy = Policy(), **values: Any) -> dict[str, list[str]]:  # noqa: B008
    """Return what is wrong with these fields."""
    with pytest.raises(InvalidRequest) as raised:
        parsed(policy, **values)
    return raised.value.errors


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://hooks.example.com", "https://hooks.example.com"),
        ("https://hooks.example.com/", "https://hooks.example.com/"),
        ("HTTPS://Hooks.Example.COM:443/Path/%2F", "https://hooks.example.com/Path/%2F"),
        ("https://hooks.example.com:8443/a/b?c=D&e=%20@:/?", "https://hooks.example.com:8443/a/b?c=D&e=%20@:/?"),
        ("https://hooks.example.com?a=b", "https://hooks.example.com?a=b"),
        ("https://1.1.1.1/a", "https://1.1.1.1/a"),
        ("https://[2606:4700:4700::1111]/a", "https://[2606:4700:4700::1111]/a"),
        ("https://hooks.example.com/" + "a" * 2022, "https://hooks.example.com/" + "a" * 2022),
        ("", None),
        (None, None),
    ],
)
def test_a_webhook_is_kept_as_it_was_written(given: str | None, kept: str | None) -> None:
    assert parsed(notification_webhook=given)["notification_webhook"] == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "must be a string"),
        (["https://hooks.example.com"], "must be a string"),
        ("hooks.example.com", "must be a URL"),
        ("https:hooks.example.com", "must be a URL"),
        ("https:///path", "must be a URL"),
        (" https://hooks.example.com", "must be a URL"),
        ("https://hooks.example.com/a b", "must be a URL"),
        ("https://hooks.example.com/ü", "must be a URL"),
        ("https://hooks.example.com/%2", "must be a URL"),
        ("https://hooks.example.com/a\\b", "must be a URL"),
        ("https://hooks.example.com/#part", "must be a URL"),
        ("https://hooks.example.com\\@example.org/", "must be a URL"),
        ("https://" + "a." * 300 + "com/", "must be a URL"),
        ("ftp://hooks.example.com/", "must start with https://"),
        ("http://hooks.example.com/", "must start with https://"),
        ("https://user@hooks.example.com/", "must not hold a user name"),
        ("https://user:canary@hooks.example.com/", "must not hold a user name"),
        ("https://hooks..example.com/", "must hold the name of a host"),
        ("https://0x7f000001/", "must hold the name of a host"),
        ("https://127.1/", "must hold the name of a host"),
        ("https://hooks.example.com:22/", "must have the port 443"),
        ("https://hooks.example.com:99999/", "must have the port 443"),
        ("https://localhost/", "must not lead into a private network"),
        ("https://metadata.google.internal/", "must not lead into a private network"),
        ("https://127.0.0.1/", "must not lead into a private network"),
        ("https://10.0.0.1:8443/", "must not lead into a private network"),
        ("https://169.254.169.254/latest", "must not lead into a private network"),
        ("https://[::1]/", "must not lead into a private network"),
        ("https://[::ffff:10.0.0.1]/", "must not lead into a private network"),
        ("https://hooks.example.com/" + "a" * 2023, "must not be longer than 2048"),
    ],
)
def test_another_is_refused_on_sight(given: object, said: str) -> None:
    (text,) = problems(notification_webhook=given)["notification_webhook"]
    assert text.startswith(said)
    assert "canary" not in text


def test_the_operator_may_open_more() -> None:
    opened = Policy(allow=(AllowRule.parse("10.0.0.0/8:*"),), allow_http=True, allow_names=("hooks.internal",))
    for url in ("http://hooks.example.com/", "https://10.0.0.1:81/", "https://a.hooks.internal/"):
        assert parsed(opened, notification_webhook=url)["notification_webhook"] == url
    assert problems(opened, notification_webhook="https://192.168.0.1/").keys() == {"notification_webhook"}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_is_24_to_64_bytes(size: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    made = parsed(notification_webhook_secret=secret)
    assert made["secrets"] == {"notification_webhook_secret": Secret(secret)}
    assert "notification_webhook_secret" not in made


@pytest.mark.parametrize(
    "given",
    [
        5,
        "canary",
        "whsec_",
        "whsec_canary",
        CANARY.removeprefix("whsec_"),
        CANARY.replace("whsec_", "WHSEC_"),
        CANARY + "\n",
        CANARY[:-1],
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 24).decode(),
    ],
)
def test_another_secret_is_refused_and_not_quoted(given: object) -> None:
    found = problems(notification_webhook_secret=given)
    assert found.keys() == {"notification_webhook_secret"}
    assert "canary" not in str(found)
    assert not isinstance(given, str) or given.removeprefix("whsec_") not in str(found) or given == "whsec_"


@pytest.mark.parametrize("given", ["", None])
def test_an_empty_secret_is_none(given: str | None) -> None:
    assert "secrets" not in parsed(notification_webhook_secret=given)


@pytest.mark.parametrize(
    ("given", "meant"), [(True, True), ("true", True), ("1", True), ("TRUE", True), (False, False), ("0", False)]
)
def test_a_manifest_is_wanted_or_not(given: object, meant: bool) -> None:
    assert parsed(manifest=given)["manifest"] is meant


@pytest.mark.parametrize("given", [None, "", "yes", 2, [], {}])
def test_another_word_for_it_is_refused(given: object) -> None:
    assert problems(manifest=given) == {"manifest": ["must be true or false"]}


def test_what_is_left_out_of_a_change_is_not_judged_again() -> None:
    """A webhook stays when the policy that let it through has become stricter: it is refused when it is dialled."""
    assert parse({"name": "Another"}, CollectionFields(Policy()), before=COLLECTION) == {"name": "Another"}


def test_a_collection_comes_back_from_its_document() -> None:
    data = to_data(COLLECTION, SEALER)
    assert CANARY not in str(data)
    assert "generated" not in data
    assert from_document(Document("ann", "ABCD0123", 2, data), SEALER) == COLLECTION


def test_a_document_from_before_there_were_webhooks_and_counters_is_read() -> None:
    read = from_document(Document("ann", "ABCD0123", 2, OLD), SEALER)
    assert (read.name, read.created_at) == ("Reports", "2026-01-01T00:00:00.000Z")
    assert (read.notification_webhook, read.secrets, read.manifest, read.generated) == (None, {}, False, False)


@pytest.mark.parametrize("place", [("bob", "ABCD0123", 2), ("ann", "ABCD0124", 2), ("ann", "ABCD0123", 3)])
def test_a_secret_opens_only_where_it_belongs(place: tuple[str, str, int]) -> None:
    with pytest.raises(StoreError):
        from_document(Document(*place, to_data(COLLECTION, SEALER)), SEALER)


def test_it_does_not_print_its_secret_nor_its_webhook() -> None:
    """A webhook's address is often all that one needs to know to write to it."""
    shown = f"{COLLECTION!r} {COLLECTION}"
    assert "Secret('***')" in shown
    assert CANARY not in shown
    assert "canary" not in shown
