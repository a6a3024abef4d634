"""The encoder's half of the model: text -> vectors, questions with known answers -> an adapter, both -> one order. Needs numpy."""

import os

# One thread for each product of matrices, said before numpy is loaded: with two on a busy machine of two processors a training of .8 s took
# 4 to 7, and the last digits of an adapter depended on how many there were. Where more pays, our own threads take one task each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
