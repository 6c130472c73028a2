"""jaxflow: the exact gradient flow of one-hidden-layer ReLU networks with the square loss."""

from jaxflow import datasets as datasets
from jaxflow import init as init
from jaxflow.dataset import Dataset as Dataset
from jaxflow.network import ReluNetwork as ReluNetwork
