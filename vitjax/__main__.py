"""`python -m vitjax` is the command line."""

import sys

from vitjax.cli import main

sys.exit(main())
