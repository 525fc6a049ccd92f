"""Logins to the console: by a token that is good once, for a key that is good for a while."""

from consignee.secret import Secret
from consignee.web.sessions import INVITED, LOGGED_IN, Sessions


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def revealed(key: Secret | None) -> str:
    """Return a key that must be there."""
    assert key is not None
    return key.reveal()


def test_an_invitation_is_good_once() -> None:
    sessions = Sessions()
    token = sessions.invite("ann").reveal()
    assert sessions.account_of(token) is None
    key = revealed(sessions.redeem(token))
    assert sessions.account_of(key) == "ann"
    assert sessions.redeem(token) is None
    assert sessions.account_of(key) == "ann"
    assert sessions.redeem(key) is None


def test_invitations_and_keys_end() -> None:
    clock = Clock()
    sessions = Sessions(clock=clock)
    early, late = (sessions.invite("ann").reveal() for _ in range(2))
    clock.seconds = INVITED - 1
    assert sessions.expects_somebody()
    key = revealed(sessions.redeem(early))
    clock.seconds = INVITED
    assert not sessions.expects_somebody()
    assert sessions.redeem(late) is None
    assert sessions.account_of(key) == "ann"
    clock.seconds = INVITED - 1 + LOGGED_IN
    assert sessions.account_of(key) is None


def test_expired_ones_are_not_kept() -> None:
    """However many links are never used, and however many logins have ended."""
    clock = Clock()
    sessions = Sessions(clock=clock)
    for _ in range(3):
        sessions.invite("ann")
        revealed(sessions.redeem(sessions.invite("bob").reveal()))
        clock.seconds += LOGGED_IN
    assert len(sessions) == 2


def test_what_is_no_text_of_ours_is_nobodys() -> None:
    sessions = Sessions()
    assert [sessions.account_of(key) for key in ("", "css_", "css_\udcff", "css_" + "a" * 43)] == [None] * 4
    assert sessions.redeem("\udcff") is None
