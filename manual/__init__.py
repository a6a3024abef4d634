"""What of the manual is made from what the programs know of themselves: `python -m manual`.

commands   click's commands → Markdown, for docs/commands.md and for the manual pages
roff       Markdown → man(7)
pages      which files there are, and which chapters of docs/ each manual page has

A test compares the files with what would be written now, so nobody has to remember to run it.
"""
