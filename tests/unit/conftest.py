"""What the unit tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test is judged by its time, on whatever machine it runs; a failure prints how to replay it.
settings.register_profile(
    "unit", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
