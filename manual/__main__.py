"""`python -m manual`: write docs/commands.md and man/."""

from manual.pages import PROJECT, files

for name, text in files().items():
    (PROJECT / name).write_text(text, encoding="utf-8")
