"""``python -m matrix`` is the command ``caliper-matrix``."""

import sys

from matrix.cli import main

sys.exit(main())
