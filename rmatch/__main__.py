"""`python -m rmatch` is `rmatch`."""

from __future__ import annotations

import sys

from rmatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
