"""Pictures of results."""

from jaxflow.plots.phases import draw_phases as draw_phases
from jaxflow.plots.verification import draw_verification as draw_verification
