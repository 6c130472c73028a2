"""What the theory predicts, held beside what the flow did."""

from jaxflow.analysis.convergence import Convergence as Convergence
from jaxflow.analysis.convergence import convergence as convergence
from jaxflow.analysis.exit_times import exit_times as exit_times
from jaxflow.analysis.padding import padded as padded
from jaxflow.analysis.phases import Phases as Phases
from jaxflow.analysis.phases import phases as phases
from jaxflow.analysis.plateaus import Plateau as Plateau
from jaxflow.analysis.rate_study import RateStudy as RateStudy
from jaxflow.analysis.rate_study import rate_study as rate_study
from jaxflow.analysis.robustness import Robustness as Robustness
from jaxflow.analysis.robustness import robustness as robustness
from jaxflow.analysis.saddle_visits import SaddleVisits as SaddleVisits
from jaxflow.analysis.saddle_visits import saddle_visits as saddle_visits
from jaxflow.analysis.scale_threshold import ScaleThresholds as ScaleThresholds
from jaxflow.analysis.scale_threshold import scale_thresholds as scale_thresholds
