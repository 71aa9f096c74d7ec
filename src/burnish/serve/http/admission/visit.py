"""One request, as it is counted and logged: who asked what, and how much work it was; never its contents."""

import time
import uuid
from dataclasses import dataclass, field

from burnish.serve.http.admission.keys import Key


@dataclass
class Visit:
    """Filled as a request is answered; `ends` may be read once it is."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    method: str = ""
    path: str = ""
    key: Key | None = None
    model: str = ""
    status: int = 0
    error: str = ""
    """The code of an error, also of one in the middle of a stream."""
    is_stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    booked_tokens: int = 0
    """What it may take at most, booked at its key's limit until it ends."""
    malformed_calls: int = 0
    surplus_calls: int = 0
    gone: bool = False
    """Whether the client went away before its answer."""
    begun: float = field(default_factory=time.perf_counter)
    first_token: float | None = None

    def drew(self) -> None:
        """One more token."""
        if self.first_token is None:
            self.first_token = time.perf_counter()
        self.completion_tokens += 1

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self.begun

    @property
    def seconds_to_first_token(self) -> float | None:
        return None if self.first_token is None else self.first_token - self.begun
