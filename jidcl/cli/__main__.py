"""`python -m jidcl.cli VERB`."""

import sys

from jidcl.cli.main import main

sys.exit(main())
