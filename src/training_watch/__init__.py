"""training-watch: run a job because files changed, not because a clock struck."""

from importlib.metadata import version

__version__ = version("training-watch")
