"""The same model, over files: a restart finds what a crash left of them, and so nothing that was told is lost."""

import shutil
import tempfile
from pathlib import Path

from hypothesis.stateful import invariant, rule

from consignee.store.json_file import JsonFileStore
from queues.test_model import QueueMachine
from store.test_model import BOUNDED, STEPS, copied


class FileQueueMachine(QueueMachine):
    """Its process ends at any moment between two words, and the next one has the bytes that were there."""

    steps = crashes = 0

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="queue-"))
        self.generation = 0
        super().__init__()
        self.store = self.stored(self.place / "0")
        self.run(self.store.open())
        self.queue = self.opened()

    def stored(self, directory: Path) -> JsonFileStore:
        return JsonFileStore(directory, compact_above=2000, reserve=4096)

    def teardown(self) -> None:
        """Claim until everything is done, after a last crash."""
        self.crash_now()
        self.finish()
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.place)

    @rule()
    def crash(self) -> None:
        type(self).crashes += 1
        self.crash_now()

    def crash_now(self) -> None:
        before = self.place / str(self.generation)
        self.generation += 1
        after = copied(before, self.place / str(self.generation))
        self.run(self.store.close())
        shutil.rmtree(before)
        self.store = self.stored(after)
        self.run(self.store.open())
        self.restart()

    @invariant()
    def count(self) -> None:
        type(self).steps += 1


FileQueueMachine.TestCase.settings = BOUNDED


def test_the_queue_on_files_does_what_the_model_does() -> None:
    FileQueueMachine.steps = FileQueueMachine.crashes = 0
    FileQueueMachine.TestCase("runTest").runTest()
    assert FileQueueMachine.steps > STEPS / 2
    assert FileQueueMachine.crashes > 0
    print(f"{FileQueueMachine.steps} steps, {FileQueueMachine.crashes} crashes, no job lost")  # noqa: T201
