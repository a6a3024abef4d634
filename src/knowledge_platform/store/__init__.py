"""Releases on disk, the links that say which one answers, and the lock."""
