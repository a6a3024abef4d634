"""One question -> passages, as values and as lines for people."""
