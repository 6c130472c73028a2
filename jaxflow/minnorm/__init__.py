"""The comparator: the minimum variation norm of a data set, with a certificate."""

from jaxflow.minnorm.interpolator import Excess as Excess
from jaxflow.minnorm.interpolator import Interpolator as Interpolator
from jaxflow.minnorm.minimum import minimum_variation_norm as minimum_variation_norm
from jaxflow.minnorm.orthogonal import orthogonal_minimum as orthogonal_minimum
