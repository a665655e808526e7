"""``python -m llm_service``: the command line."""

import sys

from llm_service.cli import main

if __name__ == "__main__":
    sys.exit(main())
