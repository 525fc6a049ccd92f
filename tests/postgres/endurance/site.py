"""What the processes of one site share: their settings, the database behind them, and the bucket of the files on their way."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consignee.secret import Secret
from endurance.service import write_config
from fakes.chaos_process import ChaosServer
from samples.serving import environment

COMMAND = (sys.executable, "-m", "consignee")
STAGING = "staging"
"""The bucket that the storage must have besides those of the customers."""
_SECTIONS = """\
[staging]
type = "s3compatible"
prefix = "site"
s3_bucket_name = "{bucket}"
s3_endpoint = "{endpoint}"
s3_region = "{region}"
s3_addressing_style = "path"
"""


@dataclass(frozen=True)
class Site:
    """A configuration, and the environment in which its processes run, which has the secrets."""

    config: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *arguments: str) -> str:
        """Run a command to its good end; return what it prints."""
        command = [*COMMAND, *arguments, "--config", str(self.config)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def prepare(directory: Path, url: Secret, storage: ChaosServer, *, delivery: str) -> Site:
    """Write the settings, with lines for the section [delivery], and make the tables."""
    staging = _SECTIONS.format(bucket=STAGING, endpoint=storage.url, region=storage.region)
    secrets = {
        "CONSIGNEE_STORE__URL": url.reveal(),
        "CONSIGNEE_STAGING__S3_ACCESS_KEY_ID": storage.key_id,
        "CONSIGNEE_STAGING__S3_SECRET_ACCESS_KEY": storage.secret,
    }
    config = write_config(directory, delivery=delivery, providers=staging)
    site = Site(config, {**environment(coverage=False), **secrets})
    site.run("migrate")
    return site
