"""Text that came from outside, made fit to be shown."""


def printable(text: str) -> str:
    """The text with everything escaped that could break a line or drive a terminal: file names may hold any byte."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    # Surrogates U+DC80..U+DCFF stand for bytes that are not UTF-8 (PEP 383).
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
