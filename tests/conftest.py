"""How every test runs: hypothesis draws the same examples each time, and new ones, many more, under `./dev fuzz`."""

import os

from hypothesis import HealthCheck, settings

# No deadlines: this suite has no timing assertions. Slow examples are bounded by the test's own time-out.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")
