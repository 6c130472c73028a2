"""The front door: which method finds the minimum variation norm of a data set."""

from jaxflow.dataset import Dataset
from jaxflow.minnorm.interpolator import Interpolator
from jaxflow.minnorm.orthogonal import orthogonal_minimum


def minimum_variation_norm(dataset: Dataset) -> Interpolator:
    """Minimum of Σ_j |a_j| ‖w_j‖ over all networks, of any width, that interpolate the data set.

    Raises:
        ValueError: see the methods.
    """
    if dataset.is_orthogonal:
        return orthogonal_minimum(dataset)
    raise NotImplementedError
