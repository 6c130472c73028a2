"""What the papers predict, from the data and the initialisation alone."""

from jaxflow.theory.frozen_residual import EarlyPhase as EarlyPhase
from jaxflow.theory.frozen_residual import ModeChanges as ModeChanges
from jaxflow.theory.frozen_residual import frozen_residual as frozen_residual
from jaxflow.theory.jump_process import JumpProcess as JumpProcess
from jaxflow.theory.jump_process import jump_process as jump_process
from jaxflow.theory.jump_process import jump_process_from_patterns as jump_process_from_patterns
from jaxflow.theory.single_datum import SingleDatumTrajectory as SingleDatumTrajectory
from jaxflow.theory.single_datum import single_datum_trajectory as single_datum_trajectory
