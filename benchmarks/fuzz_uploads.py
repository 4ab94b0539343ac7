"""Ten thousand hostile uploads to the local page: each ends in a sentence, none in a crash or a file.

python benchmarks/fuzz_uploads.py [--count 10000] [--seed 0]
"""

import argparse
import collections
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from uploads import hostile  # noqa: E402

from jaxderm.web import app  # noqa: E402
from jaxderm.web.server import LocalServer  # noqa: E402


def main() -> None:
    """Print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        ends, wrong, started = collections.Counter(), [], time.time()
        with LocalServer(app.page(), 0).running() as address:
            headers = {"x-session-token": address.token}
            with httpx.Client(
                base_url=f"{address.origin}/api", headers=headers, timeout=60
            ) as client:
                for number in range(given.count):
                    rng = np.random.default_rng([given.seed, number])
                    response = client.post("/cases", content=hostile(rng))
                    ends[response.status_code] += 1
                    if response.status_code == 200:
                        client.delete(f"/cases/{json.loads(response.headers['x-case'])['id']}")
                    elif (
                        response.status_code not in (413, 422, 503) or not response.json()["error"]
                    ):
                        wrong.append(number)
                alive = client.get("/about").status_code == 200
        files = [str(path) for path in Path(folder).rglob("*")]
    print(
        f"{given.count} uploads in {time.time() - started:.0f} s: {dict(ends)} (200: still a picture)"
    )
    print(f"without a sentence: {wrong}; files left: {files}; the server still answers: {alive}")
    print("MET" if not wrong and not files and alive else "MISSED")


if __name__ == "__main__":
    main()
