"""`python -m benchmarks [--runs N] [NAME …]`: each figure's median, beside the target that it is held to.

A line: {"name", "unit", "median", "values", "target", "met"}. Exit code 1 where a target was missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from statistics import median

from benchmarks.figures import FIGURES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the promised figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default 5)")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(FIGURES)):
        parser.error(f"no figure {', '.join(unknown)}; there are: {', '.join(FIGURES)}")
    met = True
    for name in arguments.names or FIGURES:
        figure = FIGURES[name]
        values = [round(value, 3) for value in figure.measure(min(arguments.runs, figure.most_runs))]
        line = {"name": name, "unit": figure.unit, "median": median(values), "values": values, "target": figure.target}
        line["met"] = figure.met(median(values))
        met = met and line["met"]
        print(json.dumps(line), flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
