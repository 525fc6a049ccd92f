"""What idempotency keys need of collections and of the store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from consignee.collection import WEBHOOK_SECRET
from consignee.collections import Collections
from consignee.egress import Policy
from consignee.precedents import Precedents, Subject
from consignee.resealing import Resealing
from consignee.secret import Sealer
from consignee.store.documents import unused_id
from consignee.store.memory import MemoryStore

HOOK = {"name": "Shop", "destination_ids": [], "notification_webhook": "https://hooks.example.com/x"}
OWN = {WEBHOOK_SECRET: "whsec_" + "QUFB" * 8}


async def test_a_secret_that_was_made_is_told_to_who_was_cut_off() -> None:
    """Also when it was sealed anew; not if it is the customer's own, nor once somebody changed the collection."""
    store, sealer = MemoryStore(), Sealer(b"k" * 32)
    await store.open()
    times = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number) for number in count())
    collections = Collections(store, limit=9, sealer=sealer, policy=Policy(), now=lambda: next(times))
    made = await collections.create("ann", HOOK)
    own = await collections.create("ann", {**HOOK, **OWN})
    assert await collections.recall("ann", made.id, HOOK) == made and made.generated
    assert not (await collections.recall("ann", own.id, {**HOOK, **OWN})).generated
    sealer.take([b"n" * 32, b"k" * 32])
    await Resealing(store, sealer=sealer, renewals={}).run()
    recalled = await collections.recall("ann", made.id, HOOK)
    assert recalled.generated and recalled.secrets == made.secrets and recalled.revision == 2
    await collections.update("ann", made.id, {"name": "Other"})
    assert not (await collections.recall("ann", made.id, HOOK)).generated


async def test_an_id_that_is_taken_is_not_given() -> None:
    store = MemoryStore()
    await store.open()
    await store.save("boxes", "ann", "00000001", {})
    numbers: Iterator[bytes] = iter([b"\0\0\0\1", b"\0\0\0\1", b"\0\0\0\2"])
    assert await unused_id(store, "boxes", "ann", random=lambda _: next(numbers)) == "00000002"


async def test_what_is_forgotten_while_all_are_looked_through_is_left_out() -> None:
    store = MemoryStore()
    await store.open()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    precedents = Precedents(store, sealer=Sealer(b"k" * 32), most=9, now=lambda: now)
    for id_ in ("one", "two"):
        await precedents.begin("ann", id_, Subject("boxes", id_), b"a box", replaces=0)
    seen = []
    async for precedent in precedents.unsettled():
        seen.append(precedent.id)
        await precedents.forget("ann", "two")
    assert seen == ["one"]
