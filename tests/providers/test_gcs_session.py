"""The sessions of large objects by service account: where they may be, and what they may not answer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from consignee.errors import NotAStorageService, ProviderError, ProviderFailure, RedirectRefused
from consignee.providers.base import Checkpoint
from fakes import google as faults
from fakes.google import Fault
from fakes.scripted import Answer, Request, Responder
from providers.google_place import BODY, DATA, Place, first_of, nth, opened_place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A bucket that is open."""
    async with opened_place() as place:
        yield place


def relocated(change: Callable[[str], str]) -> Fault:
    """Answer the beginning of a session with another address."""

    def answer(request: Request, responder: Responder) -> Answer:
        good = responder(request)
        where = {"Location": change(good.headers["Location"])} if "Location" in good.headers else {}
        return replace(good, headers={**good.headers, **where})

    return answer


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("127.0.0.1", "169.254.169.254"),
        lambda url: url.replace("http:", "https:"),
        lambda url: url.replace("127.0.0.1:", "127.0.0.1:1"),
        lambda url: url.replace("127.0.0.1", "user@127.0.0.1"),
        lambda url: url.replace("http://", "//"),
        lambda url: url + "é",
        lambda url: url + "x" * 5000,
        lambda _: "/upload/relative",
        lambda _: "http://[",
    ],
)
async def test_a_session_at_another_place_is_refused(place: Place, change: Callable[[str], str]) -> None:
    """The content would go wherever an answer says."""
    checkpoint = Checkpoint()
    place.google.storage_fault = relocated(change)
    with pytest.raises(RedirectRefused):
        await place.bucket.put("large", BODY, checkpoint)
    assert (place.sent, checkpoint.state) == ([], {})


async def test_a_checkpoint_of_another_endpoint_is_not_followed(place: Place) -> None:
    """Neither to go on with it nor to abandon it."""
    state = {"session": "http://127.0.0.1:9/upload?upload_id=x", "key": "large", "sha256": BODY.sha256.hex()}
    await place.bucket.abandon("large", state)
    await place.bucket.put("large", BODY, Checkpoint(state))
    assert place.objects == {"large": DATA}
    assert "*" not in place.sent_ranges()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(308, {"Location": "http://169.254.169.254/"}), RedirectRefused),
        (Answer(302, {"Location": "http://169.254.169.254/"}), RedirectRefused),
        (Answer(308, {"Range": "bytes=0-99999999999"}), NotAStorageService),
        (Answer(308, {"Range": "bytes=7-9"}), NotAStorageService),
        (Answer(308, {"Range": "what"}), NotAStorageService),
        (Answer(200, {}, b"<html>"), NotAStorageService),
        (Answer(200, {}, b'{"bucket": "demo-bucket", "name": "another"}'), NotAStorageService),
    ],
)
async def test_what_no_session_answers(place: Place, answer: Answer, kind: type[ProviderFailure]) -> None:
    place.google.storage_fault = nth(1, faults.always(answer))
    with pytest.raises(kind):
        await place.bucket.put("large", BODY)
    assert place.google.sessions.unfinished() == []


async def test_a_request_id_that_is_the_sessions_secret_is_left_out(place: Place) -> None:
    """Google may name a request about a session by what its address ends with; an answer with an id is still Google's."""

    def naming(request: Request, responder: Responder) -> Answer:
        (session,) = place.google.sessions.open
        return Answer(400, {"X-GUploader-UploadID": session})

    place.google.storage_fault = first_of(*[naming] * 20)
    with pytest.raises(ProviderError) as failed:
        await place.bucket.put("large", BODY)
    assert failed.value.provider_request_id is None


async def test_the_address_of_a_session_is_in_no_failure(place: Place) -> None:
    """Whoever knows it can write the object. The checkpoint, which is kept secret, has it."""
    checkpoint = Checkpoint()
    place.google.storage_fault = first_of(*[faults.cut_off] * 20)
    with pytest.raises(ProviderFailure) as failed:
        await place.bucket.put("large", BODY, checkpoint)
    chain: list[BaseException | None] = [failed.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__ or (None if chain[-1].__suppress_context__ else chain[-1].__context__))
    (session,) = place.google.sessions.open
    assert session in checkpoint.state["session"]
    assert session not in "".join(f"{error!r} {error}" for error in chain)
    assert session not in f"{vars(place.bucket)} {failed.value.hint}"
