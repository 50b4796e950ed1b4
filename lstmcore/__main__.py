"""The command `lstmcore`, also as `python -m lstmcore`."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command; without the packages of the extra `cli`, say which one is missing."""
    for package in ("typer", "rich"):
        if find_spec(package) is None:
            sys.exit(
                f"error: the command lstmcore needs the package {package}: "
                'pip install "lstmcore[cli]" (in a checkout: pip install -e ".[cli]")'
            )
    from lstmcore import cli

    cli.main()


if __name__ == "__main__":
    main()
