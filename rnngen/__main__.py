"""The command `rnngen`, also as `python -m rnngen`."""

import sys


def main() -> None:
    """The entry point of the command."""
    try:
        from rnngen.cli import app
    except KeyboardInterrupt:  # the import takes a tenth of a second
        print("rnngen: interrupted", file=sys.stderr)
        sys.exit(130)
    app.main()


if __name__ == "__main__":
    main()
