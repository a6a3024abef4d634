"""`python -m knowledge_platform` is `crystal`."""

import sys

from knowledge_platform.cli import main

sys.exit(main())
