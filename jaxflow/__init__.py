"""jaxflow: the exact gradient flow of one-hidden-layer ReLU networks with the square loss."""

from jaxflow import datasets as datasets
from jaxflow import init as init
from jaxflow.dataset import Dataset as Dataset
from jaxflow.flow.gradient_flow import gradient_flow as gradient_flow
from jaxflow.flow.status import Status as Status
from jaxflow.flow.trajectory import Trajectory as Trajectory
from jaxflow.montecarlo.ensemble import Ensemble as Ensemble
from jaxflow.montecarlo.ensemble import ensemble as ensemble
from jaxflow.network import ReluNetwork as ReluNetwork
