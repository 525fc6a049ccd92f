"""Processes that stop in the middle of a job, for a while or for good: another one takes it, and its word alone counts."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consignee.queue import AT_ONCE
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from queues.claiming import filled

PROGRAM = Path(__file__).with_name("queue_worker.py")
Worker = subprocess.Popen[str]


@pytest.fixture
def worker(url: Secret) -> Iterator[Callable[[str], Worker]]:
    """Starts a process that claims a job."""
    with ExitStack() as stack:

        def start(name: str) -> Worker:
            command = [sys.executable, str(PROGRAM), name]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            say(process, url.reveal())
            return process

        yield start


@pytest.fixture
async def queue(store: PostgresStore) -> PostgresQueue:
    """The queue that they claim from, with one job that is due."""
    queue = PostgresQueue(store, "jobs")
    await queue.open()
    await filled(queue, 1, due=AT_ONCE)
    return queue


def say(process: Worker, line: str) -> None:
    """Give a process a line to read."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process: Worker) -> str:
    """Return the next line that a process writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_a_worker_that_was_frozen_has_no_say_when_it_goes_on(
    queue: PostgresQueue, worker: Callable[[str], Worker]
) -> None:
    frozen = worker("frozen")
    assert heard(frozen) == "claimed l0 1 0"
    frozen.send_signal(signal.SIGSTOP)
    other = worker("other")
    assert heard(other) == "claimed l0 2 1"
    say(other, "go")
    assert heard(other) == "done"
    frozen.send_signal(signal.SIGCONT)
    say(frozen, "go")
    assert heard(frozen) == "lost"
    job = await queue.get("a", "l0")
    assert job is not None and (job.data, job.attempt, job.due) == ({"by": "other"}, 2, None)


async def test_what_a_killed_worker_had_is_given_to_another_one(
    queue: PostgresQueue, worker: Callable[[str], Worker]
) -> None:
    killed = worker("killed")
    assert heard(killed) == "claimed l0 1 0"
    killed.kill()
    other = worker("other")
    assert heard(other) == "claimed l0 2 1"
    say(other, "go")
    assert heard(other) == "done"
    assert (await queue.census()).under_way == 0
