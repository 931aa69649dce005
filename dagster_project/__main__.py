"""`python -m dagster_project`: the command `leanfunnel`, where its script is not on the path."""

from dagster_project.cli import main

if __name__ == "__main__":
    main()
