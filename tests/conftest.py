"""For all tests: in CI the same commit gets the same verdict; who looks for bugs runs them elsewhere, with new examples."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
