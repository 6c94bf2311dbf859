"""`python -m rnngen` is the command `rnngen`."""

from rnngen.cli.app import main

if __name__ == "__main__":
    main()
