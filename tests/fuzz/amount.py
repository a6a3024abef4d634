"""How many examples: some in CI, the same each time; with TRAINING_WATCH_FUZZ=50 fifty times as many, new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("TRAINING_WATCH_FUZZ", "1"))


def examples(count: int) -> settings:
    """Settings for a test that draws `count` examples. A busy machine is no reason to fail (no deadline)."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
