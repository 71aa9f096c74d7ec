"""Keeps the libraries' warnings and progress bars out of the output."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' warnings and progress bars; burnish checks the same conditions itself."""
    from transformers.utils import logging as transformers_logging

    verbosity, had_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    if verbosity != logging.ERROR:  # each change of a level empties the caches of all loggers
        transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with quiet_bitsandbytes(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if transformers_logging.get_verbosity() != verbosity:
            transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def quiet_bitsandbytes() -> Iterator[None]:
    """Silence bitsandbytes, which PEFT imports: on some CPUs it warns of a kernel that burnish does not use."""
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    if level == logging.ERROR:
        yield
        return
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
