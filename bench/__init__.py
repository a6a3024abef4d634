"""Measures training-watch beside its peers: the same trees, the same changes, one process each, in turns.

    trees ──▶ one row (armed, latency, burst …) ──▶ Section of figures ──▶ report (terminal, docs/benchmarks.md)
                  │ starts and reads /proc of
                  ▼
    ours (the program as its unit starts it)    peers (programs/: a plain loop, watchdog, watchfiles)

crystal/ has rows of its own on what the default training costs and finds.

It never imports training_watch: what it measures is what a user runs. It sleeps, unlike the tests, because
quiet is what some rows measure.
"""
