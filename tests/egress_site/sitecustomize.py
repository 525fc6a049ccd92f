"""What Python imports first in a process that a test starts: watched as the tests are, it may connect to this machine alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import canary_watch
import egress_watch

del sys.path[0]
egress_watch.install()
canary_watch.install_in_child()
