"""Whatever a storage answers, and to whatever it is asked: a failure of ours, and nothing else, comes out."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from consignee.body import BytesBody
from consignee.errors import ProviderFailure
from consignee.outlets import open_outlets
from consignee.providers import Bucket
from consignee.providers.base import Checkpoint
from consignee.transport import Parts
from fakes.scripted import Answer, Request, Server, scripted
from providers.arbitrary import Arbitrary, proofs
from providers.kinds import Kind
from providers.opening import draft_of
from providers.test_every_type import every_kind

SEEDS: Final = range(32)
"""For each of six kinds of destinations, which is asked for seven things with each of them."""
PARTS: Final = Parts(threshold=100, size=100, at_once=1, tries=2, pause=0.0)
SMALL: Final = BytesBody(b"small")
LARGE: Final = BytesBody(random.Random(1).randbytes(250))
REPEATED: Final = 16
"""As many characters of a proof in a row are too many."""


@every_kind
async def test_any_answer_to_any_request(kind: Kind) -> None:
    """The checkpoint is gone on with, and stays small; nothing by which a request proved its right is repeated."""
    outcomes: Counter[str] = Counter()
    storage: dict[str, Callable[[Request], Answer]] = {}
    async with scripted(lambda request: storage["now"](request)) as server:
        settings = kind.settings_at(server.url)
        draft = draft_of(kind.provider, kind.fields_at(server.url), settings)
        for seed in SEEDS:
            print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails
            storage["now"] = Arbitrary(seed)
            async with open_outlets(settings) as outlets:
                transport = outlets.transport(kind.provider)
                transport.parts = PARTS
                async with kind.provider.open(draft, {}, transport) as bucket:
                    outcomes += await _ask_everything(bucket, server)
    assert outcomes["done"] > len(SEEDS)
    assert len(outcomes) > 5, outcomes


async def _ask_everything(bucket: Bucket, server: Server) -> Counter[str]:
    checkpoint, outcomes = Checkpoint(), Counter[str]()
    kept = {"upload": "u", "session": f"{server.url}/upload/x?upload_id=y", "key": "key"}
    calls: list[Callable[[], Awaitable[None]]] = [
        lambda: bucket.put("key", SMALL),
        lambda: bucket.delete("key"),
        lambda: bucket.put("key", LARGE),
        lambda: bucket.put("key", LARGE, checkpoint),
        lambda: bucket.put("key", LARGE, checkpoint),
        lambda: bucket.abandon("key", checkpoint.state),
        lambda: bucket.abandon("key", kept),
    ]
    for call in calls:
        server.requests.clear()
        try:
            await call()
            outcomes["done"] += 1
        except ProviderFailure as failure:
            outcomes[failure.code] += 1
            _assert_silent(failure, bucket, server.requests)
        assert len(str(checkpoint.state)) < 5000
    return outcomes


def _assert_silent(failure: ProviderFailure, bucket: Bucket, asked: list[Request]) -> None:
    told = [str(failure), repr(failure), failure.hint, failure.provider_code, failure.provider_request_id, bucket.found]
    for proof in [proof for request in asked for proof in proofs(request)]:
        for start in range(len(proof) - REPEATED + 1):
            assert proof[start : start + REPEATED] not in str(told)
