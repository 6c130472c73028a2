"""The comparison as a table in Markdown: every time with its error, and ratios to jaxflow's."""

from comparison.measure import best

WRONG = 1e-2
"""An error above this is no solution."""


def markdown(results: dict) -> str:
    """One table for each problem, tools at the tolerance at which they are compared."""
    return "\n\n".join(_one(name, problem) for name, problem in results["problems"].items())


def _one(name: str, problem: dict) -> str:
    cores = problem["cores"]
    own = best(problem["tools"]["jaxflow"])
    head = (
        f"**{name}**, to t = {problem['end']:.4g}; reference: {problem['reference']}\n\n"
        "| tool | rtol | set-up | one run | error | times jaxflow's | seeds/s | jaxflow's times |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    batch = problem["ensemble"]["seeds_per_s"] if problem["ensemble"] else None
    lines = []
    for tool, rows in problem["tools"].items():
        row = best(rows)
        seeds = None if tool == "jaxflow" else cores / row["time_s"]
        lines.append(_line(tool, rows, own, seeds, batch))
        if tool == "jaxflow" and batch is not None:
            lines.append(_together(problem["ensemble"]))
    return "\n".join([head, *lines])


def _line(tool: str, rows: list[dict], own: dict, seeds, batch) -> str:
    row, setup = best(rows), max(row["setup_s"] for row in rows)
    start = f"| {tool} | {row['rtol']:.0e} | {_duration(setup)} "
    if row["error"] is None:
        return (
            f"{start}| not finished in {row['time_s']:.0f} s | at t = {row['reached']:.3g} | | | |"
        )
    start += f"| {_duration(row['time_s'])} | {row['error']:.1e} "
    if row["error"] > WRONG:
        return f"{start}| wrong | | |"
    slower = f"{row['time_s'] / own['time_s']:.3g}"
    if batch is None or seeds is None:
        return f"{start}| {slower} | | |"
    return f"{start}| {slower} | {seeds:.3g} | {batch / seeds:.3g} |"


def _together(many: dict) -> str:
    start = f"| jaxflow, ensemble | {many['rtol']:.0e} | {_duration(many['setup_s'])} | "
    return f"{start}| {many['error']:.1e} | | {many['seeds_per_s']:.3g} | 1 |"


def _duration(seconds: float) -> str:
    if seconds < 1e-4:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
