"""Pictures of results."""

from jaxflow.plots.early_directions import draw_early_directions as draw_early_directions
from jaxflow.plots.exit_times import draw_exit_errors as draw_exit_errors
from jaxflow.plots.phases import draw_phases as draw_phases
from jaxflow.plots.rate_study import draw_rate_studies as draw_rate_studies
from jaxflow.plots.robustness import draw_robustness as draw_robustness
from jaxflow.plots.scale_threshold import draw_scale_thresholds as draw_scale_thresholds
from jaxflow.plots.verification import draw_verification as draw_verification
