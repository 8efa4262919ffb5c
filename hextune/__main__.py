"""Launcher: puts an installed wheel's layers first on the path, then hands over to the CLI.

In a checkout the layers stand at its root; in a wheel they stand in `hextune/_layers`, because
`adapters` and `entrypoints` are also the names of other distributions.
"""

import sys
from pathlib import Path


def main() -> None:
    """Run the `tune` command line."""
    layers = Path(__file__).parent / "_layers"
    if layers.is_dir():
        sys.path.insert(0, str(layers))
    from entrypoints.cli.main import run

    run()


if __name__ == "__main__":
    main()
