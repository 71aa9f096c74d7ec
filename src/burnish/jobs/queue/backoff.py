"""How long a failed job waits before its next attempt."""

FIRST_SECONDS, LONGEST_SECONDS, JITTER_SECONDS = 10.0, 600.0, 5.0


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait after this attempt, counted from 1: doubled each time, plus `chance` (0 to 1) of a jitter.

    The jitter keeps jobs that failed together from starting together. The formula of the package `stamina`.
    """
    doubled = FIRST_SECONDS * 2.0 ** min(attempt - 1, 60)
    return min(LONGEST_SECONDS, doubled + JITTER_SECONDS * chance)
