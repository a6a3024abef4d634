"""Measures crystal: how quick it trains and answers, as a user runs it, and how good its answers are.

corpus (docs/, questions) ──▶ row (training, asking, quality) ──▶ Section of figures ──▶ report
                                    │ the last one also asks
                                    ▼
                               rankers (what a release finds, part by part)
"""
