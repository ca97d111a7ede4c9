"""Short names from contents, in the letters that upstream uses: no vowels, so no words.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/rand (SafeEncodeString), pkg/controller/controller_utils.go
(ComputeHash).
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def content_hash(value: Any) -> str:
    """The same for equal JSON values, whatever the order of their keys; 32 bits in ten letters at most."""
    digest = hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    number = str(int.from_bytes(digest[:4]))
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in number)
