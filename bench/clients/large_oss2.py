"""A large file by oss2's `resumable_upload`, with parts of the size of ours, as many at once."""

import sys
import tempfile
from pathlib import Path

import oss2

from large_file import KEY, SECRET
from measuring import measured

SIZE = 16 * 1024 * 1024


def main(url: str, ca_file: str, small: Path, large: Path) -> None:
    session = oss2.Session(pool_size=4)
    session.session.verify, session.session.trust_env = ca_file, False
    auth = oss2.AuthV4(KEY, SECRET)
    bucket = oss2.Bucket(
        auth, url, "bucket", region="cn-hangzhou", session=session, is_path_style=True, enable_crc=False
    )

    def put(file: Path) -> None:
        with tempfile.TemporaryDirectory() as checkpoints:
            store = oss2.ResumableStore(root=checkpoints)
            oss2.resumable_upload(
                bucket, "oss2", str(file), store=store, multipart_threshold=SIZE, part_size=SIZE, num_threads=4
            )

    put(small)
    with measured() as meter:
        put(large)
    meter.report(large.stat().st_size / 1e9)


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
