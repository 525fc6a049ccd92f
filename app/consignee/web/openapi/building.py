"""Building the package: a wheel brings the document of its own routes and types, whatever lies in the source tree."""

import sys
from pathlib import Path

from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Collects the modules and makes the document anew; needs apispec, and what the service itself needs."""

    def run(self) -> None:
        """Do that, but not for an editable installation, which reads the file in the source tree."""
        super().run()
        if self.editable_mode:
            return
        sys.path.insert(0, str(Path(__file__).parents[3]))
        from consignee.web.openapi.__main__ import write
        from consignee.web.reference import DOCUMENT, WHERE

        write(Path(self.build_lib, "consignee", WHERE, DOCUMENT))
