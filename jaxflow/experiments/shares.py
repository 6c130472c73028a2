"""Shares of runs with their intervals."""

from scipy.stats import binomtest

CONFIDENCE = 0.95


def wilson(successes: int, trials: int) -> tuple[float, float, float]:
    """A share and its 95 % interval by Wilson; NaN without trials."""
    if trials == 0:
        return float("nan"), float("nan"), float("nan")
    test = binomtest(successes, trials)
    interval = test.proportion_ci(CONFIDENCE, method="wilson")
    return test.statistic, float(interval.low), float(interval.high)
