"""What the papers predict, from the data and the initialisation alone."""

from jaxflow.theory.alignment import Alignment as Alignment
from jaxflow.theory.alignment import alignment as alignment
from jaxflow.theory.alignment import angle as angle
from jaxflow.theory.decoupling import Decoupling as Decoupling
from jaxflow.theory.decoupling import decoupling as decoupling
from jaxflow.theory.extremal import ExtremalDirections as ExtremalDirections
from jaxflow.theory.extremal import extremal_directions as extremal_directions
from jaxflow.theory.frozen_residual import EarlyPhase as EarlyPhase
from jaxflow.theory.frozen_residual import ModeChanges as ModeChanges
from jaxflow.theory.frozen_residual import frozen_residual as frozen_residual
from jaxflow.theory.jump_process import JumpProcess as JumpProcess
from jaxflow.theory.jump_process import jump_process as jump_process
from jaxflow.theory.jump_process import jump_process_from_patterns as jump_process_from_patterns
from jaxflow.theory.lipschitz import LipschitzBounds as LipschitzBounds
from jaxflow.theory.lipschitz import lipschitz_constant as lipschitz_constant
from jaxflow.theory.saddles import Saddles as Saddles
from jaxflow.theory.saddles import distance_to_critical_point as distance_to_critical_point
from jaxflow.theory.saddles import saddles as saddles
from jaxflow.theory.single_datum import SingleDatumTrajectory as SingleDatumTrajectory
from jaxflow.theory.single_datum import single_datum_trajectory as single_datum_trajectory
from jaxflow.theory.tangent_kernel import fit_rates as fit_rates
from jaxflow.theory.tangent_kernel import local_polyak_lojasiewicz as local_polyak_lojasiewicz
from jaxflow.theory.tangent_kernel import tangent_kernel as tangent_kernel
from jaxflow.theory.timeline import Timeline as Timeline
from jaxflow.theory.timeline import timeline as timeline
