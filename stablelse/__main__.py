"""Run the command line as ``python -m stablelse``."""

from stablelse.cli.main import main

if __name__ == "__main__":
    main()
