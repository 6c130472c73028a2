"""The front door: which method finds the minimum variation norm of a data set."""

from jaxflow.dataset import Dataset
from jaxflow.minnorm.general import general_minimum
from jaxflow.minnorm.interpolator import Interpolator
from jaxflow.minnorm.orthogonal import orthogonal_minimum


def minimum_variation_norm(dataset: Dataset) -> Interpolator:
    """The network of least variation norm among all, of any width, that interpolate a data set.

        value = min Σ_j |a_j| ‖w_j‖   subject to   Σ_j a_j max(⟨w_j, x_k⟩, 0) = y_k, k = 1..n
              = max Σ_k β_k y_k   subject to   |Σ_k β_k max(⟨w, x_k⟩, 0)| ≤ 1, ‖w‖ = 1

    Orthogonal inputs have a closed form, which runs under jit and vmap. Any others go through a
    cone programme on the host; its answer carries a lower bound that holds whatever the solver
    did (see `Interpolator.status`).

    Args:
        dataset: the data set.

    Raises:
        ValueError: labels that no network can interpolate (x_l = c x_k with c > 0, y_l ≠ c y_k);
            traced data that are not orthogonal.

    Source: arXiv 2206.00939, Section 3; F. Bach, JMLR 18 (2017), for the norm; the dual as in
    arXiv 2002.10553.
    """
    if dataset.is_orthogonal:
        return orthogonal_minimum(dataset)
    return general_minimum(dataset)
