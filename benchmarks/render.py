"""Speed of the renderer: seconds a picture by stage, and pictures an hour with one process a core.

    python benchmarks/render.py [--count 40] [--sizes 128,256] [--workers 2]

Required on two quiet cores: 4,000 pictures an hour at 128 px and 1,500 at 256 px. The stages are those of one process;
the hours' figure is a corpus written by `jaxderm render` with all of them, start of the processes included.
"""

import argparse
import collections
import os
import tempfile
import time

from jaxderm.render import corpus
from jaxderm.render.picture import render_number

REQUIRED = {128: 4000, 256: 1500}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    for size in map(int, given.sizes.split(",")):
        render_number(0, 10_000, size)  # the body's files are read once
        stages: dict[str, float] = collections.defaultdict(float)
        for number in range(12):
            for stage, seconds in render_number(0, number, size).seconds.items():
                stages[stage] += seconds / 12
        parts = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
        print(f"{size} px: {sum(stages.values()):.2f} s a picture in one process: {parts}")
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            corpus.render_corpus(
                folder, given.count, size, 1, workers=given.workers, progress=False
            )
            hour = 3600 * given.count / (time.perf_counter() - started)
        verdict = ""
        if size in REQUIRED:
            met = "met" if hour >= REQUIRED[size] else "MISSED"
            verdict = f"   target {REQUIRED[size]:,}: {met}"
        print(f"{size} px: {hour:,.0f} pictures an hour with {given.workers} processes{verdict}")


if __name__ == "__main__":
    main()
