"""Pictures of results."""

from jaxflow.plots.verification import draw_verification as draw_verification
