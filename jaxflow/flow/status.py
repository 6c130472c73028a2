"""How a run ended: one word for every numerical outcome."""

from enum import IntEnum


class Status(IntEnum):
    """Outcome of a run.

    * `interpolated`: certified; the limit has zero loss and lies within the reported bound.
    * `stationary`: at rest at positive loss; the data left over are seen by no neuron for good and
      all others are fitted, certified likewise; on general inputs also where at positive loss all
      forces are below the tolerance.
    * `moving`: at the horizon or the last save time, or where all forces are rounding and all data
      fitted to the tolerance, without evidence of the limit.
    * `step_limit`: `max_steps` attempted steps were not enough.
    * `step_underflow`: no step above rounding met the tolerance.
    * `event_not_located`: a change of activation could not be located to rounding.
    * `event_limit`: more changes of activation than there was room to record.
    * `not_finite`: the state overflowed.
    * `choice_not_solved`: a boundary choice did not reach its optimality conditions.
    """

    running = 0
    interpolated = 1
    stationary = 2
    moving = 3
    step_limit = 4
    step_underflow = 5
    event_not_located = 6
    event_limit = 7
    not_finite = 8
    choice_not_solved = 9

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def failed(self) -> bool:
        """Whether the integration broke off for a numerical reason."""
        return self >= Status.step_limit
