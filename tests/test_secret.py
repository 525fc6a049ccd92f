"""A secret never shows itself, and a sealed one opens only where it belongs."""

import base64
import copy
import json
import logging
import pickle
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.errors import StoreError
from consignee.secret import KEY_BYTES, Sealer, Secret, key_id_in, key_id_of, parse_key, parse_ring

KEY: Final = bytes(range(KEY_BYTES))
OTHER: Final = bytes(range(1, KEY_BYTES + 1))
PLACE: Final[dict[str, Any]] = {"account": "acme", "id": "ABCD1234", "revision": 3, "field": "s3_secret_access_key"}
CANARY: Final = "hunter2-canary"


def test_it_holds_what_it_was_given() -> None:
    assert Secret(CANARY).reveal() == CANARY


@dataclass(frozen=True)
class Holder:
    """Something that prints what it holds."""

    secret: Secret


def test_it_never_prints_itself(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("test").warning("%s %r %s", secret, secret, [secret])
    shown = [
        str(secret),
        repr(secret),
        f"{secret} {secret!r} {secret:>40}",
        "{}".format(secret),  # noqa: UP032
        "%s" % secret,  # noqa: UP031
        repr([secret]),
        repr({"a": secret}),
        repr(Holder(secret)),
        caplog.text,
    ]
    assert all("***" in text for text in shown)
    assert [text for text in shown if "hunter" in text or "canary" in text] == []


def test_it_can_neither_be_encoded_nor_copied() -> None:
    """What could be written somewhere by accident fails instead, without quoting it."""
    secret = Secret(CANARY)
    for spill in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as refused:
            spill(secret)
        assert CANARY not in str(refused.value)
    assert not hasattr(secret, "__dict__")


def test_it_is_compared_by_what_it_holds() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("ü") != Secret("u")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)


@given(st.text())
def test_what_was_sealed_opens_again(text: str) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(Secret(text), **PLACE)
    assert sealer.open(sealed, **PLACE) == Secret(text)
    assert sealed.isascii()


def test_it_is_sealed_with_the_keys_id_in_front_and_never_twice_the_same() -> None:
    sealer = Sealer(KEY)
    first, second = (sealer.seal(Secret(CANARY), **PLACE) for _ in range(2))
    assert first.startswith(f"{sealer.key_id}:")
    assert first != second
    assert CANARY not in first
    assert CANARY.encode() not in base64.b64decode(first.partition(":")[2])


def test_the_sealing_is_what_it_says_it_is() -> None:
    """AES-256-GCM, the nonce in front and the place as associated data, so that others could open it with the key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = Sealer(KEY, random=lambda length: b"n" * length).seal(Secret(CANARY), **PLACE)
    raw = base64.b64decode(sealed.partition(":")[2])
    assert raw[:12] == b"n" * 12
    parts = [str(part).encode() for part in ("acme", "ABCD1234", 3, "s3_secret_access_key")]
    bound = b"".join(len(part).to_bytes(4) + part for part in parts)
    assert AESGCM(KEY).decrypt(raw[:12], raw[12:], bound) == CANARY.encode()


@pytest.mark.parametrize(
    "moved",
    [
        {"account": "other"},
        {"id": "ABCD1235"},
        {"revision": 4},
        {"revision": 2},
        {"field": "s3_access_key_id"},
        {"account": "acmeA", "id": "BCD1234"},
        {"account": "", "id": "acmeABCD1234"},
    ],
)
def test_it_does_not_open_elsewhere(moved: dict[str, Any]) -> None:
    """Who can write to the store can't have one customer's secret used for another, nor an old one again."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(Secret(CANARY), **PLACE)
    with pytest.raises(StoreError, match="altered or belongs elsewhere"):
        sealer.open(sealed, **{**PLACE, **moved})


def test_every_single_bit_counts() -> None:
    """In each character of the sealed form: also where base64 would let another spelling pass."""
    sealer = Sealer(KEY)
    for text in ("", "a", "ab", CANARY):
        sealed = sealer.seal(Secret(text), **PLACE)
        for position in range(len(sealed)):
            for bit in range(8):
                flipped = chr(ord(sealed[position]) ^ 1 << bit)
                altered = sealed[:position] + flipped + sealed[position + 1 :]
                with pytest.raises(StoreError) as refused:
                    sealer.open(altered, **PLACE)
                assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "cut", ["", "x", ":", "{id}", "{id}:", "{id}:AAAA", "{id}:AAAAAAAAAAAAAAAA", "{id}:é", "{id}:="]
)
def test_what_is_not_sealed_does_not_open(cut: str) -> None:
    sealer = Sealer(KEY)
    with pytest.raises(StoreError, match="ABCD1234"):
        sealer.open(cut.format(id=sealer.key_id), **PLACE)


def test_another_key_does_not_open_it_and_both_are_named() -> None:
    sealer, other = Sealer(KEY), Sealer(bytes(KEY_BYTES))
    sealed = sealer.seal(Secret(CANARY), **PLACE)
    with pytest.raises(StoreError, match=f"sealed with key '{sealer.key_id}', not '{other.key_id}'"):
        other.open(sealed, **PLACE)
    forged = f"{other.key_id}:{sealed.partition(':')[2]}"
    with pytest.raises(StoreError, match="altered"):
        other.open(forged, **PLACE)


def test_a_sealer_shows_the_id_of_its_key_alone() -> None:
    sealer = Sealer(KEY)
    assert repr(sealer) == f"Sealer(key_id='{sealer.key_id}')"
    assert KEY.hex()[:8] not in sealer.key_id


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(bytes(length))


@pytest.mark.parametrize("key", [KEY, b"\xfb\xff" * 16, bytes(KEY_BYTES)])
def test_a_key_is_read_as_it_is_usually_written(key: bytes) -> None:
    spellings = [
        key.hex(),
        key.hex().upper(),
        base64.b64encode(key).decode(),
        base64.urlsafe_b64encode(key).decode(),
        f"  {key.hex()}\n",
        base64.b64encode(key).decode() + "\r\n",
    ]
    assert [parse_key(text) for text in spellings] == [key] * len(spellings)


@pytest.mark.parametrize(
    "text", ["", "hunter2", "0" * 63, "0" * 66, "g" * 64, "A" * 42, "é" * 44, base64.b64encode(bytes(31)).decode()]
)
def test_what_is_no_key_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64 or hexadecimal") as refused:
        parse_key(text)
    assert not text or text not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("between", [" ", "\n", "\r\n\r\n", " \t "])
def test_a_ring_is_keys_with_white_space_between_them(between: str) -> None:
    """In whatever spelling, each once, the order kept."""
    text = between.join(["", OTHER.hex(), base64.b64encode(KEY).decode(), base64.b64encode(OTHER).decode(), ""])
    assert parse_ring(text) == (OTHER, KEY)


@pytest.mark.parametrize(
    "text", ["", " \n", f"{KEY.hex()} hunter2", f"hunter2\n{KEY.hex()}", f"{KEY.hex()}{OTHER.hex()}"]
)
def test_one_bad_key_spoils_the_ring_and_none_is_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64 or hexadecimal") as refused:
        parse_ring(text)
    assert "hunter2" not in str(refused.value)
    assert KEY.hex() not in str(refused.value)


def test_the_first_key_seals_and_all_open() -> None:
    old, new = Sealer(OTHER), Sealer(KEY, older=[OTHER])
    assert new.key_ids == (key_id_of(KEY), key_id_of(OTHER))
    assert new.open(old.seal(Secret(CANARY), **PLACE), **PLACE) == Secret(CANARY)
    sealed = new.seal(Secret(CANARY), **PLACE)
    assert key_id_in(sealed) == new.key_id == key_id_of(KEY)
    with pytest.raises(StoreError, match=f"not '{old.key_id}'"):
        old.open(sealed, **PLACE)


def test_a_sealer_takes_other_keys_in_place_of_its_own() -> None:
    """The one that is gone opens nothing any more, and all that are there are named."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(Secret(CANARY), **PLACE)
    sealer.take([OTHER, KEY])
    assert sealer.key_id == key_id_of(OTHER)
    assert sealer.open(sealed, **PLACE) == Secret(CANARY)
    sealer.take([OTHER, bytes(KEY_BYTES)])
    told = f"'{key_id_of(KEY)}', not '{key_id_of(OTHER)}' or '{key_id_of(bytes(KEY_BYTES))}'"
    with pytest.raises(StoreError, match=told):
        sealer.open(sealed, **PLACE)


def test_what_stands_for_the_id_of_a_key_is_not_shown_at_length() -> None:
    with pytest.raises(StoreError) as refused:
        Sealer(KEY).open(CANARY * 9, **PLACE)
    assert CANARY * 2 not in str(refused.value)
