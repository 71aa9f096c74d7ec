"""What exists twice is held together: the code and the pages made from it, the guides and the commands they name."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer

from burnish.cli.main import app
from burnish.core.catalog import stages
from burnish.core.errors import CODES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(command=None, path=()):
    command = command or typer.main.get_command(app)
    if not hasattr(command, "list_commands"):
        yield " ".join(path)
        return
    context = command.make_context("burnish", [], resilient_parsing=True)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


MADE = generator().PAGES


@pytest.mark.parametrize("page", sorted(MADE))
def test_a_generated_page_is_what_the_code_says(page):
    assert (REFERENCE / page).read_text(encoding="utf-8") == MADE[page](), "run `make docs`"


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_stands_in_the_reference(command):
    assert f"\n## burnish {command}\n" in (REFERENCE / "commands.md").read_text(encoding="utf-8")


def test_the_commands_are_those_that_were_promised():
    promised = {"run", "plan", "demo", "init", "schema", "inspect", "chat", "env", "doctor", *stages()}
    promised |= {f"runs {verb}" for verb in ("list", "show", "rows", "tail", "diff", "stop", "resume")}
    assert promised <= set(commands())


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_stands_in_the_reference(code):
    assert f"| `{code}` |" in (REFERENCE / "errors.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(stages()))
def test_every_setting_stands_in_the_reference(name):
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    for field in stages()[name].spec_type().__pydantic_fields__:
        assert f"| `{field}` |" in page


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page):
    known = {word for command in commands() for word in command.split()[:1]} | {"sub"}
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"^\s*(?:\$ )?burnish ((?!-)[a-z-]+)\b", "\n".join(re.findall(r"```.*?```", text, re.S)), re.M)
    named += re.findall(r"`burnish ([a-z][a-z-]*)[ `]", text)
    assert set(named) <= known


def test_pages_of_the_studio_name_the_port_that_it_opens():
    [port] = [one.default for one in typer.main.get_command(app).commands["ui"].params if one.name == "port"]
    guides = [ROOT / "README.md", *(ROOT / "docs" / "guides").glob("*.md")]
    pages = [page for page in guides if "burnish ui" in page.read_text(encoding="utf-8")]
    sources = (ROOT / "src" / "burnish" / "server").rglob("*.py")
    texts = {file: file.read_text(encoding="utf-8") for file in (*pages, *sources)}
    named = [(file.name, int(one)) for file, text in texts.items() for one in re.findall(r"127\.0\.0\.1:(\d+)", text)]
    assert {"openai-client.md", "studio.md", "teams.md", "__init__.py"} <= {name for name, _ in named}
    assert [one for one in named if one[1] != port] == []


def test_every_decision_has_a_number_of_its_own_which_its_title_repeats():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for number, page in zip(numbers, pages, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page.name
