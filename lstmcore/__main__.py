"""The command `lstmcore`, also as `python -m lstmcore`."""

import sys


def main() -> None:
    """Run the command; without the packages of the extra `cli`, say which one is missing."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(
            f"error: the command lstmcore needs the package {error.name}: "
            'pip install "lstmcore[cli]"'
        )
    from lstmcore import cli

    cli.main()


if __name__ == "__main__":
    main()
