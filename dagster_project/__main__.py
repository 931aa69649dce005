"""The entry point of `leanfunnel` and of `python -m dagster_project`: Ctrl-C is cared for before anything is imported."""

import sys

from dagster_project.interruption import end_at_once, stop_between_imports


def main() -> None:
    """Run the command; every failure is one line on stderr and an exit code (see `cli.main`)."""
    try:
        stop_between_imports()
        from dagster_project import cli

        cli.main()
    except KeyboardInterrupt:  # before the command had begun
        sys.stderr.write("leanfunnel: stopped by you.\n")
        sys.exit(130)
    finally:
        end_at_once()


if __name__ == "__main__":
    main()
