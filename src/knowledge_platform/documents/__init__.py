"""Files -> chunks with their exact lines, sections and links. A file that can't be used keeps its last good text."""
