"""Run the command line as ``python -m stablelse``."""

try:
    from stablelse.cli.main import main
except KeyboardInterrupt:  # `main` is not there yet to see to it
    raise SystemExit(130) from None

if __name__ == "__main__":
    main()
