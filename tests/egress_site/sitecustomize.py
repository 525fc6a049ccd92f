"""What Python imports first in a process that a test starts: it may connect to this machine alone, as the tests may."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import egress_watch

del sys.path[0]
egress_watch.install()
