"""A process that changes one name of a registry without end, and writes down what it was told; tests kill it."""

import os
import random
from pathlib import Path

from burnish.core.errors import AskError, BurnishError
from burnish.core.registry.registry import Registry
from burnish.core.runs.workspace import Workspace
from burnish.studio import registry

NAME = "support"


def change(root: str, seed: int, told: str) -> None:
    """Register, promote, demote, tag and remove at random; each answer is one line of the file `told`."""
    source, lines, count = random.Random(seed), os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 0

    def say(*words: object) -> None:
        os.write(lines, (" ".join(map(str, words)) + "\n").encode())

    while True:
        count += 1
        try:
            live = list(Registry(Workspace(Path(root))).entry(NAME).live) if count > 1 else []
            kind = source.choice(("register", "promote", "promote", "demote", "tag", "remove", "read", "reindex"))
            if kind == "register" or len(live) < 4:
                folder = Path(root, f"lora-{os.getpid()}-{count}")
                folder.mkdir()
                (folder / "adapter_config.json").write_text(f"[{os.getpid()}, {count}]")
                found = registry.register(f"file:{folder}", name=NAME, who="w", workspace=root)
                say("register", found["version"])
                continue
            number = source.choice(live)
            options = {"who": "w", "workspace": root}
            match kind:
                case "promote":
                    registry.promote(f"{NAME}@{number}", to="production", because="x", **options)
                case "demote":
                    registry.demote(f"{NAME}@{number}", **options)
                case "tag":
                    registry.tag(f"{NAME}@{number}", source.choice("abc"), **options)
                case "remove":
                    registry.remove(f"{NAME}@{number}", because="x", **options)
                case "reindex":
                    assert not any("damaged" in one.what for one in registry.reindex(workspace=root))
                case _:
                    registry.listing(NAME, workspace=root)
                    registry.show(f"{NAME}@latest", workspace=root)
            say(kind, number)
        except AskError as error:  # another process was faster
            say("late", error.code)
        except BurnishError as error:
            say("fault", error.code, error.what)
