"""Which engines the tests of this folder run against."""

import os

import pytest

from kubelab.runtime.api import Level

REAL = os.environ.get("KUBELAB_TEST_DOCKER_HOST", "")
LEVELS = ["real"] if REAL else list(Level)
# For tests whose containers write to absolute paths, which at the level process are the host's.
isolated = pytest.mark.parametrize("running", LEVELS[:1], indirect=True, scope="session")
