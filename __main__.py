"""`python -m stylectl`, and the program `stylectl`."""

from __future__ import annotations

import sys

from .tools.console.signals import StartSignals, ignore_signals, stop_signals


def main() -> None:
    """Run the program; signals are handled before anything else is imported."""
    try:
        with stop_signals(StartSignals):
            from .tools.cli import main as run_program

            run_program()
    except KeyboardInterrupt as stop:
        sys.stderr.write("stylectl: interrupted\n")
        sys.exit(getattr(stop, "exit_code", 130))
    finally:
        ignore_signals()


if __name__ == "__main__":
    main()
