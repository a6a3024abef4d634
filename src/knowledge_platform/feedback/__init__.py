"""What people said of answers: the log, whose word counts, and where the section is that they spoke of."""
