"""The default training: a docs folder of Markdown -> a model one can ask.

Importing this package imports the standard library only: code that logs feedback must work where nothing else is installed.
"""

from knowledge_platform.feedback.log import FeedbackLogger

__all__ = ["FeedbackLogger"]
