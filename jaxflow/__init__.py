"""jaxflow: the exact gradient flow of one-hidden-layer ReLU networks with the square loss."""

from jaxflow import datasets as datasets
from jaxflow import init as init
from jaxflow.dataset import Dataset as Dataset
from jaxflow.descent.gradient_descent import gradient_descent as gradient_descent
from jaxflow.descent.status import DescentStatus as DescentStatus
from jaxflow.descent.trajectory import Descent as Descent
from jaxflow.flow.gradient_flow import gradient_flow as gradient_flow
from jaxflow.flow.status import Status as Status
from jaxflow.flow.trajectory import Trajectory as Trajectory
from jaxflow.minnorm.interpolator import Interpolator as Interpolator
from jaxflow.minnorm.minimum import minimum_variation_norm as minimum_variation_norm
from jaxflow.montecarlo.ensemble import Ensemble as Ensemble
from jaxflow.montecarlo.ensemble import ensemble as ensemble
from jaxflow.montecarlo.reading import open_sweep as open_sweep
from jaxflow.network import ReluNetwork as ReluNetwork
from jaxflow.sharing import share_out as share_out
from jaxflow.theory.jump_process import JumpProcess as JumpProcess
from jaxflow.theory.jump_process import jump_process as jump_process
