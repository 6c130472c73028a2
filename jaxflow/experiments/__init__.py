"""The jobs that a person runs."""

from jaxflow.experiments.replay import replay as replay
from jaxflow.experiments.verify import verify as verify
from jaxflow.experiments.verify_report import VerifyReport as VerifyReport
