"""The words' half of the model: SQLite's FTS5, and answers by words alone."""
