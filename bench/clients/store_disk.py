"""The disk's limit: one line appended to a file and synced, again and again, by one thread that does nothing else: FILE COUNT."""

import os
import sys
from pathlib import Path

from consignee.store.record import encode_record
from measuring import measured
from store_documents import DATA, place

FILE, COUNT = Path(sys.argv[1]), int(sys.argv[2])
LINE = encode_record(*place(0, 1), 1, DATA)

fd = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
with measured() as meter:
    for _ in range(COUNT):
        os.write(fd, LINE)
        os.fdatasync(fd)
meter.report(COUNT)
