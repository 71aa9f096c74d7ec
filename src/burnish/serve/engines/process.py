"""An engine's process: its environment, its log, and its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from burnish.core.processes import signal_name
from burnish.core.secrets import mask, program_environment

_LAST_LINES, _LAST_BYTES = 5, 4_000


def engine_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of this process that an engine needs, without secrets, and `more`."""
    return program_environment(more)


class EngineProcess:
    """A process in a session of its own; what it prints goes to the end of `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, logged: int):
        self.process, self.log, self._logged = process, log, logged

    @classmethod
    async def start(
        cls, command: Sequence[str], log: Path, environment: Mapping[str, str], *, speaks: bool
    ) -> "EngineProcess":
        """`speaks`: its standard input and output are pipes to this process, for messages."""
        with log.open("ab") as file:
            logged = file.tell()
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe if speaks else file,
                stderr=file,
                env=dict(environment),
                start_new_session=True,
            )
        return cls(process, log, logged)

    async def wait_end(self) -> str:
        """How it ended, as a clause, with the last lines that it printed."""
        status = await self.process.wait()
        how = f"was ended by {signal_name(-status)}" if status < 0 else f"exited with status {status}"
        return how + self.last_words()

    def last_words(self) -> str:
        """The last lines of its log, for an error: `: LINE; LINE`."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(self._logged, file.tell() - _LAST_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
            if lines:
                return ": " + mask("; ".join(lines[-_LAST_LINES:]))
        return ""

    async def end(self, grace: float) -> None:
        """End it and its group: SIGTERM, and SIGKILL after `grace` seconds."""
        if self.process.returncode is None and grace > 0:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.process.wait()
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _signal(self, number: int) -> None:
        """To the group: also to what it started, after its own end too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.process.send_signal(number)
            else:
                os.killpg(self.process.pid, number)
