"""training-watch: run a job because files changed, not because a clock struck."""

# Not from importlib.metadata: its import alone costs 50 ms of each command.
__version__ = "0.1.0"
