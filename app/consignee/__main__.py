"""python -m consignee"""

import sys

from consignee.cli import main

sys.exit(main())
