"""What each ranker gains on questions that it wasn't trained on, and which of them may answer."""
