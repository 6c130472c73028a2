"""How a descent ended."""

from enum import IntEnum


class DescentStatus(IntEnum):
    """Outcome of a descent.

    * `done`: all iterations were made. Descent has no certificate of a limit.
    * `diverged`: a weight became infinite or NaN, and the iterations stopped there.
    """

    running = 0
    done = 1
    diverged = 2

    def __str__(self) -> str:
        return self.name

    @property
    def failed(self) -> bool:
        """Whether the iterations broke off."""
        return self == DescentStatus.diverged
