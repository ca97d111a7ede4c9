"""`python tools/write_coverage.py`: write COVERAGE.md, what the two engines serve and honour, from their own tables."""

from __future__ import annotations

from pathlib import Path

from kubelab.cluster import coverage as cluster
from kubelab.engine import coverage as engine

FILE = Path(__file__).resolve().parent.parent / "COVERAGE.md"


def document() -> str:
    return cluster.document() + "\n" + engine.document()


if __name__ == "__main__":
    FILE.write_text(document())
