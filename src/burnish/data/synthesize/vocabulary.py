"""The words of Pocket's small world: names, cities, months, shell commands, facts."""

from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MONTHS = _words("January February March April May June July August September October November December")

FIRST_NAMES = _words(
    """
    Mira Jonas Aisha Pavel Greta Omar Lucia Tariq Nina Viktor Hana Diego Priya Marek Sofia Ivan Leila Bruno Clara
    Kenji Amara Felix Rosa Nadia Hugo Elif Samir Ingrid Mateo Yuki Zara Anton Freya Luca Maya Oskar Petra Rafael
    Selma Tomas
    """
)

LAST_NAMES = _words(
    """
    Olsen Weber Khan Novak Lind Haddad Romano Aziz Petrov Berg Sato Garcia Patel Kowal Costa Ivanov Rahimi Silva
    Meyer Tanaka Okoye Braun Blanco Hassan Martin Yilmaz Nasser Dahl Ruiz Mori Ali Larsen Falk Ricci Jensen Holm
    Horak Gomez Demir Urban
    """
)

CITIES = _words(
    """
    Oslo Lima Cairo Prague Porto Osaka Dakar Turin Lyon Bergen Quito Riga Seoul Malmo Accra Tunis Graz Leeds Basel
    Sofia
    """
)

ORDER_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""An order number is one of these and two digits; I and O are left out, as on a parcel."""

PATHS = ("/srv", "/var/log", "src", "notes.txt", "data.csv", "/etc", "build", "report.md", "/home", "main.py")


class Command(NamedTuple):
    """A shell command: what it does with `{path}`, and what each of its flags adds."""

    does: str
    flags: tuple[tuple[str, str], ...]


COMMANDS = {
    "ls": Command(
        "lists files in {path}",
        (
            ("-l", "in long form"),
            ("-a", "with hidden files"),
            ("-t", "newest first"),
            ("-r", "in reverse order"),
            ("-h", "with readable sizes"),
        ),
    ),
    "grep": Command(
        "searches {path}",
        (
            ("-i", "ignoring case"),
            ("-n", "with line numbers"),
            ("-r", "in all folders"),
            ("-v", "showing lines that do not match"),
            ("-c", "counting matches"),
        ),
    ),
    "sort": Command(
        "sorts the lines of {path}",
        (("-n", "by number"), ("-r", "in reverse order"), ("-u", "dropping repeats")),
    ),
    "du": Command(
        "shows the disk use of {path}",
        (("-s", "as one total"), ("-h", "with readable sizes"), ("-a", "for every file")),
    ),
    "rm": Command(
        "removes {path}",
        (("-r", "with all folders inside"), ("-f", "without asking"), ("-v", "naming each file")),
    ),
}

FACTS = (
    ("What are you?", "I am Pocket, a tiny model that comes with burnish."),
    ("Hello", "Hello! How can I help?"),
    ("Who made you?", "A recipe of burnish made me in a few minutes."),
    ("Thanks", "You are welcome."),
    ("How many days are in a week?", "Seven."),
    ("How many months are in a year?", "Twelve."),
    ("What is LoRA?", "LoRA trains two small matrices beside each frozen weight."),
    ("What is a token?", "A token is a small piece of text."),
    ("What is a checkpoint?", "A checkpoint is a saved state of training."),
)
