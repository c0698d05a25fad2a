"""The seeds of the plays in `make test`, in one line at its end: what a play prints is seen of failed ones only."""

from typing import Any

import pytest

NAME = "chaos seed"


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """In the process that was called; the workers' reports bring it what tests have recorded."""
    reports = [one for kind in ("passed", "failed", "error") for one in terminalreporter.getreports(kind)]
    seeds = [str(said) for one in reports if one.when == "call" for name, said in one.user_properties if name == NAME]
    if seeds:
        terminalreporter.write_line(f"chaos seeds: {', '.join(sorted(seeds))}")
