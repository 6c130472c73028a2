"""The jobs that a person runs."""

from jaxflow.experiments.beyond_orthogonality import BeyondOrthogonality as BeyondOrthogonality
from jaxflow.experiments.beyond_orthogonality import beyond_orthogonality as beyond_orthogonality
from jaxflow.experiments.descent_study import DEFAULT_STEPS as DEFAULT_STEPS
from jaxflow.experiments.descent_study import DescentStudy as DescentStudy
from jaxflow.experiments.descent_study import descent_study as descent_study
from jaxflow.experiments.figures import figures as figures
from jaxflow.experiments.overparametrisation import Overparametrisation as Overparametrisation
from jaxflow.experiments.overparametrisation import overparametrisation as overparametrisation
from jaxflow.experiments.replay import replay as replay
from jaxflow.experiments.sweep import sweep as sweep
from jaxflow.experiments.sweep_replay import replay_sweep as replay_sweep
from jaxflow.experiments.sweep_report import SweepReport as SweepReport
from jaxflow.experiments.verify import verify as verify
from jaxflow.experiments.verify_report import VerifyReport as VerifyReport
