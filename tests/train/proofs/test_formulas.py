"""Every objective has a formula that its loss is compared with: a class that is renamed would be checked no more."""

import importlib
import pkgutil

from burnish.train import objectives
from burnish.train.objectives.objective import Objective
from burnish.train.proofs.objectives.formulas import FORMULAS

WITHOUT = {"Ppo"}


def test_every_objective_has_a_formula_by_the_name_of_its_class():
    modules = [
        importlib.import_module(f"{objectives.__name__}.{found.name}")
        for found in pkgutil.iter_modules(objectives.__path__)
    ]
    classes = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "score")
    }
    assert classes - {Objective.__name__} == set(FORMULAS) | WITHOUT
