"""``python -m nengograd`` is the command ``nengograd``."""

import sys

from .cli import main

sys.exit(main())
