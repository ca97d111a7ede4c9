"""Ways to break one feature of the shop, each of them real: a process that ends, locks that wait, memory held.

`pass_through()` stands at the head of every request to the feature, so a broken feature is broken for whoever asks,
another feature included.
"""

from __future__ import annotations

import threading
import time

MEBIBYTE = 1024 * 1024
LEAK_LIMIT = 512  # mebibytes: a leak without a memory limit must not take the student's machine with it


class FeatureFailed(Exception):
    """The feature answers with an error."""


class Faults:
    """The faults of one feature."""

    names = ("crash", "deadlock", "error", "slow", "leak", "recover")

    def __init__(self, feature: str) -> None:
        self.feature = feature
        self.ledger, self.stock = threading.Lock(), threading.Lock()
        self.failing, self.delay = False, 0.0
        self.leaked: list[bytearray] = []

    def pass_through(self) -> None:
        """Called for every request. FeatureFailed while `error` is on; never returns after a deadlock."""
        with self.ledger:
            pass
        if self.delay:
            time.sleep(self.delay)
        if self.failing:
            raise FeatureFailed(f"{self.feature} was told to fail")

    def apply(self, fault: str, options: dict[str, str]) -> str:
        """Break the feature and say what will happen. KeyError: there is no such fault. The caller does the crash."""
        if fault == "crash":
            return "the process ends now, with exit code 1"
        if fault == "deadlock":
            self._deadlock()
            return f"no request to {self.feature} will be answered any more"
        if fault == "error":
            self.failing = True
            return f"every request to {self.feature} fails from now on"
        if fault == "slow":
            self.delay = min(float(options.get("seconds", 3)), 60.0)
            return f"every request to {self.feature} takes {self.delay:g} seconds from now on"
        if fault == "leak":
            mebibytes = min(int(options.get("mebibytes", 256)), LEAK_LIMIT)
            threading.Thread(target=self._leak, args=(mebibytes,), daemon=True).start()
            return f"{mebibytes} MiB are being leaked"
        if fault == "recover":
            self.failing, self.delay = False, 0.0
            return "error and slow are over; a deadlock or a leak cannot be undone from outside"
        raise KeyError(fault)

    def _deadlock(self) -> None:
        """Two threads take the same two locks in opposite order: each holds the one that the other waits for."""
        both_hold_one = threading.Barrier(3)

        def take(first: threading.Lock, second: threading.Lock) -> None:
            with first:
                both_hold_one.wait()
                with second:
                    raise AssertionError("unreachable: the other thread never lets go")

        for locks in ((self.ledger, self.stock), (self.stock, self.ledger)):
            threading.Thread(target=take, args=locks, daemon=True).start()
        both_hold_one.wait(timeout=5)

    def _leak(self, mebibytes: int) -> None:
        for _ in range(0, mebibytes, 4):
            self.leaked.append(bytearray(b"x" * (4 * MEBIBYTE)))
            time.sleep(0.05)
