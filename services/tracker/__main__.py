"""`python -m services.tracker`."""

import sys

from services.tracker.app import main

if __name__ == "__main__":
    sys.exit(main())
