"""``python -m llmreg.cli``: the command line, where no script is installed."""

import sys

from llmreg.cli import main

if __name__ == "__main__":
    sys.exit(main())
