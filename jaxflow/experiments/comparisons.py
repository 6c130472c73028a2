"""What the comparator says of data sets whose inputs are not orthogonal."""

import xarray as xr

from jaxflow.experiments.cases import Case
from jaxflow.experiments.design import Design, table_of


def compared(cases: list[Case], design: Design) -> xr.Dataset:
    """The table of the runs, with how sure each minimum is."""
    return table_of(cases, design).assign(
        certificate=("dataset", [case.minimum.status for case in cases])
    )
