"""What came of the plays, for people (Markdown, a table) and for programs (JSON)."""

import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Play = dict[str, Any]


def summary(plays: list[Play]) -> list[tuple[str, int, int, float, float]]:
    """Of each scenario: its name, plays, failures, median and longest seconds."""
    rows = []
    for name in dict.fromkeys(play["scenario"] for play in plays):
        own = [play for play in plays if play["scenario"] == name]
        seconds = [play["seconds"] for play in own]
        rows.append((name, len(own), sum(not play["ok"] for play in own), statistics.median(seconds), max(seconds)))
    return rows


def write(directory: Path, plays: list[Play], *, older: int) -> None:
    """DIR/report.md and DIR/report.json: the plays of the code as it is now, and how many `older` ones are left out."""
    known = {"older_plays_left_out": older, "plays": plays}
    (directory / "report.json").write_text(json.dumps(known, ensure_ascii=False, indent=1) + "\n")
    lines = [
        "# Faults injected for real",
        "",
        "| scenario | plays | failed | median s | longest s |",
        "|-|-:|-:|-:|-:|",
    ]
    for name, count, failed, median, longest in summary(plays):
        lines.append(f"| {name} | {count} | {failed} | {median:.1f} | {longest:.1f} |")
    lines += ["", left_out(older), "", "## Every play", ""] if older else ["", "## Every play", ""]
    for play in plays:
        facts = ", ".join(f"{name}: {value}" for name, value in play.get("facts", {}).items())
        lines.append(f"- {play['scenario']} seed {play['seed']}: {'well' if play['ok'] else '**FAILED**'}"
                     f" in {play['seconds']} s; {facts}")  # fmt: skip
        if play["error"]:
            lines += ["", "  ```", *(f"  {line}" for line in play["error"].splitlines()), "  ```", ""]
    (directory / "report.md").write_text("\n".join(lines) + "\n")


def left_out(older: int) -> str:
    """How many plays do not count, in a sentence."""
    return f"Left out of account, since they were played on other code: {older}."


def show(plays: list[Play], console: Console, *, older: int) -> None:
    """The table, how many plays are left out, and what failed."""
    table = Table(title="Faults injected for real")
    for heading in ("scenario", "plays", "failed", "median s", "longest s"):
        table.add_column(heading, justify="left" if heading == "scenario" else "right")
    for name, count, failed, median, longest in summary(plays):
        table.add_row(name, str(count), str(failed), f"{median:.1f}", f"{longest:.1f}")
    console.print(table)
    if older:
        console.print(left_out(older))
    for play in plays:
        if not play["ok"]:
            console.print(f"{play['scenario']} with CHAOS_SEED={play['seed']}: {play['error'][-600:]}", markup=False)
