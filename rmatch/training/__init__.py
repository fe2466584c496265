"""Training: the loop, its checkpoints and reports, the score of a flow, and the folder that a run leaves."""

from __future__ import annotations

from rmatch.training.comparison import Contender, contend, pair
from rmatch.training.config import DataSource, DensitySource, RunConfig
from rmatch.training.evaluation import Evaluation, evaluate
from rmatch.training.fit import FitResult, fit
from rmatch.training.options import RunOptions
from rmatch.training.progress import ProgressBar
from rmatch.training.report import Report
from rmatch.training.run import Run, load_run
from rmatch.training.target import TargetEvaluation, evaluate_target

__all__ = [
    "Contender",
    "DataSource",
    "DensitySource",
    "Evaluation",
    "FitResult",
    "ProgressBar",
    "Report",
    "Run",
    "RunConfig",
    "RunOptions",
    "TargetEvaluation",
    "contend",
    "evaluate",
    "evaluate_target",
    "fit",
    "load_run",
    "pair",
]
