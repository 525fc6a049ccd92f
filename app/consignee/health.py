"""Notes when a saved destination stops working, and when it works again."""

import logging
from dataclasses import dataclass

from consignee.destination import Destination

log = logging.getLogger(__name__)


@dataclass
class Health:
    """How many times the outcome of a destination's test turned from good to bad, and back, since the start."""

    broke: int = 0
    recovered: int = 0

    def note(self, before: Destination, after: Destination) -> None:
        """Log and count the change, if it is one, that saving `after` in place of `before` has made."""
        if before.last_test is None or after.last_test is None or before.last_test["ok"] == after.last_test["ok"]:
            return
        ids = {"account": after.account, "destination": after.id}
        if after.last_test["ok"]:
            self.recovered += 1
            log.info("destination %s of account %s works again", after.id, after.account, extra=ids)
        else:
            self.broke += 1
            code = next(step["code"] for step in after.last_test["connectivity"]["steps"] if not step["ok"])
            text = "destination %s of account %s does not work any more: %s"
            log.warning(text, after.id, after.account, code, extra=ids)
