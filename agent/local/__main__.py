"""`python -m agent.local` is `fresco-agent local`."""

import sys

from agent.local.parent import main

if __name__ == "__main__":
    sys.exit(main())
