"""The connectivity test, written once for every provider: upload a small file under the destination's prefix, delete it.

It needs no right but those two. Each step is reported with its milliseconds and, if it failed, why and what to do about it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from consignee import path_prefix
from consignee.body import BytesBody
from consignee.destination import Draft
from consignee.errors import (
    AccessDenied,
    EndpointUnreachable,
    ProviderError,
    ProviderFailure,
    Throttled,
    TimedOut,
    VerificationFailed,
)
from consignee.providers.base import Bucket, Provider
from consignee.transport import Trace, Transport

CONTENT = BytesBody(b"consignee wrote this file to test the destination, and removes it at once.\n")


_UNSURE = frozenset({TimedOut.code, EndpointUnreachable.code, ProviderError.code, Throttled.code})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the test; `ms` are milliseconds."""

    step: str
    ok: bool
    ms: int
    code: str | None = None
    provider_code: str | None = None
    provider_request_id: str | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the test found. `doubtful` is the key of an object that may have been written and was not removed."""

    steps: tuple[Step, ...]
    left_behind: str | None = None
    message: str = ""
    doubtful: str | None = None
    found: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every step went well."""
        return all(step.ok for step in self.steps)

    @property
    def code(self) -> str | None:
        """The code of the step that failed."""
        return next((step.code for step in self.steps if not step.ok), None)

    @classmethod
    def not_run(cls) -> "Report":
        """Return the report of a test that this service itself could not run."""
        hint = "The service could not run this test; its operator finds the reason in the log. Try again later."
        return cls(
            steps=(Step(step="upload", ok=False, ms=0, code=ProviderError.code, hint=hint),),
            message="The connectivity test could not be run.",
        )

    def require_ok(self) -> None:
        """Raise VerificationFailed with this report if a step failed."""
        if not self.ok:
            raise VerificationFailed(self)

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is answered and kept."""
        steps = [asdict(step) for step in self.steps]
        return {"ok": self.ok, "steps": steps, "left_behind": self.left_behind}


UnderWay = Callable[[str], object]
"""Hears the name of each step that begins."""


class _Run:
    """One test as it goes on; `step` is what is under way, or was when it failed."""

    def __init__(self, trace: Trace, under_way: UnderWay | None = None) -> None:
        self.trace = trace
        self.steps: list[Step] = []
        self.step = ""
        if under_way is not None:
            trace.told = lambda phase: under_way(phase or self.step)
        self._began = self._before = 0.0
        self._reported: set[str] = set()
        self._accepted = False

    def begin(self, name: str) -> None:
        """Note that a step begins."""
        self.step, self._began, self._before = name, self.trace.clock(), sum(self.trace.spent.values())
        if self.trace.told is not None:
            self.trace.told(None)

    def end(self) -> None:
        """Note that the step went well."""
        self._network_steps()
        self._add(self.step, self._spent())

    def fail(self, failure: ProviderFailure) -> None:
        """Note that the step failed, or what it is made of."""
        self._accepted = failure.accepted
        current = self.trace.current
        at = current if current and current not in self._reported else self.step
        self.trace.told = None
        self.trace.enter(None)
        self._network_steps(failed=at)
        self._add(at, self._spent() if at == self.step else self.trace.spent[at], failure)

    def _spent(self) -> float:
        connecting = sum(self.trace.spent.values()) - self._before
        return (self.trace.clock() - self._began) * 1000 - connecting

    @property
    def uploaded(self) -> bool:
        """Whether the storage confirmed the upload."""
        return any(step.step == "upload" and step.ok for step in self.steps)

    @property
    def may_have_written(self) -> bool:
        """Whether an object may be there: confirmed, or sent without an answer that refuses it."""
        return (
            self.uploaded
            or self._accepted
            or any(step.step == "upload" and step.code in _UNSURE for step in self.steps)
        )

    def _network_steps(self, failed: str | None = None) -> None:
        for name in ("resolve", "connect"):
            if name == failed:
                return
            if name in self.trace.spent:
                self._add(name, self.trace.spent[name])

    def _add(self, name: str, ms: float, failure: ProviderFailure | None = None) -> None:
        if name in self._reported:
            return
        self._reported.add(name)
        self.steps.append(_step(name, ms, failure))


def _step(name: str, ms: float, failure: ProviderFailure | None) -> Step:
    if failure is None:
        return Step(step=name, ok=True, ms=round(ms))
    return Step(
        step=name,
        ok=False,
        ms=round(ms),
        code=failure.code,
        provider_code=failure.provider_code,
        provider_request_id=failure.provider_request_id,
        hint=failure.hint,
    )


Remember = Callable[[str], Awaitable[object]]


async def _nothing(key: str) -> None:
    pass


async def verify(
    draft: Draft,
    provider: Provider,
    connect: Callable[[Trace], Transport],
    *,
    found: Mapping[str, str],
    timeout: float,
    token: str,
    remember: Remember = _nothing,
    under_way: UnderWay | None = None,
) -> Report:
    """Test a destination and return the report; `timeout` is in seconds, `token` makes the file's name unique.

    `remember` gets the file's key and is awaited before the upload begins; what it raises ends the test. `under_way` hears of
    each step as it begins: while an upload waits for a connection, that is `resolve` or `connect`, and then `upload` again.
    """
    run = _Run(Trace(), under_way)
    key = path_prefix.object_key(provider.path_prefix(draft), path_prefix.SAMPLE, f"consignee-test-{token}.txt")
    async with provider.open(draft, found, connect(run.trace)) as bucket:
        await remember(key)
        failure = await _attempt(run, bucket, key, timeout)
        return Report(
            steps=tuple(run.steps),
            left_behind=key if failure and run.uploaded else None,
            message=f"The connectivity test failed. {failure}" if failure else "",
            doubtful=key if failure and run.may_have_written else None,
            found=dict(bucket.found),
        )


async def _attempt(run: _Run, bucket: Bucket, key: str, timeout: float) -> ProviderFailure | None:
    try:
        async with asyncio.timeout(timeout):
            run.begin("upload")
            await bucket.put(key, CONTENT)
            run.end()
            run.begin("delete")
            await bucket.delete(key)
            run.end()
    except TimeoutError:
        failure: ProviderFailure = TimedOut(f"The storage did not answer within {timeout:g} seconds.")
    except ProviderFailure as raised:
        failure = raised
    else:
        return None
    if run.step == "delete":
        failure.hint = _naming(failure, key)
    run.fail(failure)
    return failure


def _naming(failure: ProviderFailure, key: str) -> str:
    """Return the hint for what could not be deleted."""
    hint = failure.hint
    if isinstance(failure, AccessDenied):
        hint = "Uploading is allowed but deleting is not: give this key the right to delete as well."
    return f"{hint} The test file {key} was left behind."
