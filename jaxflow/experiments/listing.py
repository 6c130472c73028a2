"""Lists of runs, each with the command that integrates it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxflow.experiments.verify_report import Run

LISTED = 12
"""Runs listed in full; the rest are counted, and are in the result file."""


def listing(title: str, runs: list[Run], reason: str) -> str:
    """One line for each run, with the attribute `reason` of it as a comment."""
    if not runs:
        return f"{title}: none"
    lines = [f"  {run.replay_command}   # {getattr(run, reason)}" for run in runs[:LISTED]]
    more = len(runs) - LISTED
    if more > 0:
        lines.append(f"  and {more} more, in the result file")
    return "\n".join([f"{title}: {len(runs)}. Each is integrated again, alone, by", *lines])
