"""Activation modes of a neuron and the least-norm choice on its boundaries."""

from jaxflow.modes.boundaries import Boundaries as Boundaries
from jaxflow.modes.choice import BoundaryChoice as BoundaryChoice
from jaxflow.modes.choice import boundary_choice as boundary_choice
from jaxflow.modes.choice import boundary_choices as boundary_choices
from jaxflow.modes.choice import leaving_direction as leaving_direction
