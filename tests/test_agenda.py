"""Jobs begin when it is time, and all end with the agenda."""

import asyncio
import logging

import pytest

from consignee.agenda import Agenda
from timers import Timers, settled


class Diary:
    """Jobs that write down how far they got."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    async def note(self) -> None:
        """Be done at once."""
        self.entries.append("done")

    async def hang(self) -> None:
        """Begin, and end only by being cancelled."""
        self.entries.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.entries.append("ended")

    async def fail(self) -> None:
        """Fail, with a text that nobody should read."""
        raise RuntimeError("hunter2")


async def test_a_job_begins_after_its_delay_and_not_before() -> None:
    timers, diary = Timers(), Diary()
    agenda = Agenda(timers)
    agenda.after(10, diary.note)
    await timers.advance(9.9)
    assert diary.entries == []
    await timers.advance(0.1)
    assert diary.entries == ["done"]


async def test_it_runs_on_the_event_loop_by_itself() -> None:
    diary = Diary()
    agenda = Agenda()
    agenda.after(0.01, diary.note)
    async with asyncio.timeout(30):
        while not diary.entries:
            await asyncio.sleep(0.01)
    await agenda.close()


async def test_what_waits_costs_no_task() -> None:
    before = asyncio.all_tasks()
    agenda = Agenda()
    agenda.after(1000, Diary().note)
    assert asyncio.all_tasks() == before
    await agenda.close()


async def test_closing_ends_what_runs_and_forgets_what_waits() -> None:
    timers, diary = Timers(), Diary()
    agenda = Agenda(timers)
    agenda.after(0, diary.hang)
    await timers.advance(0)
    agenda.after(5, diary.note)
    await agenda.close()
    assert diary.entries == ["begun", "ended"]
    assert timers.waiting == 0
    agenda.after(0, diary.note)
    await timers.advance(10)
    await agenda.close()
    assert diary.entries == ["begun", "ended"], "nothing begins after the closing"


async def test_a_job_that_fails_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """And harms no other."""
    timers, diary = Timers(), Diary()
    agenda = Agenda(timers)
    agenda.after(0, diary.fail)
    agenda.after(0, diary.note)
    await timers.advance(0)
    await settled()
    assert [(one.levelno, one.exc_info) for one in caplog.records] == [(logging.ERROR, None)]
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text
    assert diary.entries == ["done"]
