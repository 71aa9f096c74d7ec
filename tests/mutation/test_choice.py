"""Which mutants are tried and which tests run: the same for a seed, each room in its share, the nearest tests first."""

from mutation.choice import Chooser, all_mutants, definition, sampled
from mutation.coverage import Coverage
from mutation.equivalent import Equivalent, are_equivalent, stale
from mutation.scope import Source

TEXT = "LIMIT = 3\n\n\ndef f(a, b=2):\n    return a + LIMIT\n\n\ndef g(a):\n    return a - 1\n"


def tree(tmp_path, **counts) -> list[Source]:
    """Rooms with so many copies of the text."""
    found = []
    for room, count in counts.items():
        for number in range(count):
            path = tmp_path / f"{room}{number}.py"
            path.write_text(TEXT)
            found.append(Source(f"{room}/{number}.py", path))
    return found


def test_a_sample_is_the_same_for_a_seed_and_holds_each_room_in_its_share(tmp_path):
    mutants = all_mutants(tree(tmp_path, big=20, small=1))
    sample = sampled(mutants, 48, 1)
    assert sample == sampled(mutants, 48, 1) != sampled(mutants, 48, 2)
    rooms = [mutant.source.room for mutant in sample]
    assert rooms.count("small") == 4
    assert rooms.count("big") == 46
    assert len(set(map(id, sample))) == len(sample)


def mutant_of(files, old):
    return next(mutant for mutant in all_mutants(files) if mutant.mutation.old == old)


def test_a_statement_has_the_tests_that_ran_it_the_nearest_first(tmp_path):
    files = tree(tmp_path, core=1)
    name = "core/0.py"
    seconds = {"tests/cli/test_a.py::t": 0.1, "tests/core/test_0.py::t": 9.0, "tests/core/test_b.py::t": 0.2}
    seconds["tests/core/test_b.py::other"] = 0.1
    ran = {name: dict.fromkeys(seconds, 0b010)}
    ran[name]["tests/core/test_b.py::other"] = 0b100  # g only
    chooser = Chooser(Coverage(seconds, ran), files)
    assert list(chooser.tests(mutant_of(files, "+"))[0]) == [
        "tests/core/test_0.py::t",
        "tests/core/test_b.py::t",
        "tests/cli/test_a.py::t",
    ]
    assert list(chooser.tests(mutant_of(files, "-"))[0]) == ["tests/core/test_b.py::other"]


def test_tests_beyond_the_time_are_left_out_and_counted(tmp_path):
    files = tree(tmp_path, core=1)
    seconds = {f"tests/core/test_a.py::t[{number}]": 6.0 for number in range(5)}
    chooser = Chooser(Coverage(seconds, {"core/0.py": dict.fromkeys(seconds, 0b010)}), files)
    tests, left = chooser.tests(mutant_of(files, "+"))
    assert (len(tests), left) == (3, 2)


def test_a_constant_has_the_tests_of_the_statements_that_name_it_and_a_default_those_of_its_function(tmp_path):
    files = tree(tmp_path, core=1)
    chooser = Chooser(Coverage({"f": 1.0, "g": 1.0}, {"core/0.py": {"f": 0b010, "g": 0b100}}), files)
    assert chooser.covering(mutant_of(files, "3")) == {"f"}
    assert chooser.covering(mutant_of(files, "2")) == {"f"}


def test_a_statement_that_no_test_runs_has_no_tests(tmp_path):
    files = tree(tmp_path, core=1)
    chooser = Chooser(Coverage({"f": 1.0}, {"core/0.py": {"f": 0b010}}), files)
    assert chooser.tests(mutant_of(files, "-")) == ({}, 0)


def test_a_definition_is_found_in_a_class():
    text = b"class A:\n    x = 1\n\n    def f(self, a=2):\n        pass\n"
    assert definition(text, text.index(b"1"))[2] == {"x"}
    assert definition(text, text.index(b"2"))[:2] == (text.index(b"def"), len(text) - 1)


def test_an_equivalent_mutant_is_known_after_its_line_moved_and_stale_after_it_changed(tmp_path):
    files = tree(tmp_path, core=1)
    file, function, line, old, new = mutant_of(files, "+").identity
    entry = Equivalent(file, function, line, "r", old, new)
    files[0].path.write_text("# a comment\n" + TEXT)
    assert stale([entry], all_mutants(files)) == []
    files[0].path.write_text(TEXT.replace("a + LIMIT", "b + LIMIT"))
    assert stale([entry], all_mutants(files)) == [entry]


def test_an_entry_without_a_change_is_for_every_mutant_of_its_line_and_no_other(tmp_path):
    files = tree(tmp_path, core=1)
    file, function, line, *change = mutant_of(files, "+").identity
    everything = all_mutants(files)
    of_line = {mutant.identity for mutant in everything if mutant.identity[:3] == (file, function, line)}
    assert 1 < len(of_line) < len(everything)
    assert are_equivalent([Equivalent(file, function, line, "r")], everything) == of_line
    assert are_equivalent([Equivalent(file, function, line, "r", *change)], everything) == {
        mutant_of(files, "+").identity
    }
