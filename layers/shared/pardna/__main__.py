"""``python -m pardna``."""

import sys

from pardna.cli import main

sys.exit(main())
