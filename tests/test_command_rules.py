"""Every command keeps the same rules: names of options, help, examples, version, completion, messages."""

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import Dataset, DescriptorSpec, Trainer
from antibody_esm.cli import reference, train
from antibody_esm.cli.option_names import in_options
from antibody_esm.cli.program import Command
from antibody_esm.deprecation import with_new_names
from chains import HEAVY, LIGHT, mutants

ROOT = Path(__file__).parent.parent
EVERY = dict(reference.commands())
OF_TYPER = {"--help", "--install-completion", "--show-completion"}
VARY = {"--output": "Output: "}
"""Options whose help ends with what the command writes."""
DEFAULTS = {"--output", "--language-model", "--store", "--port", "--time-limit"}
"""Options that some commands need and others do not, or with a default of their own."""


def options(command: Command) -> Iterator[Any]:
    return (each for each in command.params if each.param_type_name == "option" and long(each) not in OF_TYPER)


def long(param: Any) -> str:
    return str(next(text for text in param.opts if text.startswith("--")))


def facts(command: Command, param: Any) -> tuple[object, ...]:
    """Return all that must be the same of an option in every command that has it."""
    help_text = param.help
    if long(param) in VARY:
        assert help_text.startswith(VARY[long(param)])
        help_text = VARY[long(param)]
    kind = reference.kinds(command).get(param.name)
    needs = None if long(param) in DEFAULTS else (param.required, repr(param.default))
    return tuple(param.opts), tuple(param.secondary_opts), kind, param.metavar, help_text, param.rich_help_panel, needs


def test_an_option_has_the_same_name_type_help_and_default_in_every_command() -> None:
    ways: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for command in EVERY.values():
        for param in options(command):
            ways[long(param)].add(facts(command, param))
    assert {name: found for name, found in ways.items() if len(found) > 1} == {}
    shared = {name for name in ways if sum(name in map(long, options(command)) for command in EVERY.values()) > 4}
    assert shared >= {"--id", "--heavy", "--light", "--label", "--checkpoint", "--device", "--output", "--store"}


def test_the_same_help_is_not_of_two_options_nor_one_argument_of_two_names() -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for command in EVERY.values():
        for param in options(command):
            names[param.help].add(long(param))
            names[f"argument {param.name}"].add(long(param))
    assert {text: found for text, found in names.items() if len(found) > 1} == {}


TOGETHER = [
    ("--id", {"--heavy", "--light", "--layout", "--sheet"}),
    ("--heavy", {"--id", "--light", "--layout", "--sheet"}),
    ("--model", {"--checkpoint", "--store", "--device", "--workers"}),
    ("--language-model", {"--checkpoint", "--store", "--device", "--workers"}),
]


@pytest.mark.parametrize("name", EVERY)
def test_options_that_belong_together_are_there_together(name: str) -> None:
    there = {long(param) for param in options(EVERY[name])}
    for option, others in TOGETHER:
        assert option not in there or others <= there, f"{option} without {others - there}"


@pytest.mark.parametrize("name", EVERY)
def test_help_is_whole_sentences_with_examples_that_parse_and_fit_a_terminal(name: str) -> None:
    command = EVERY[name]
    first = (command.help or "").partition("\n")[0]
    assert re.fullmatch(r"[A-Z].*[.]", first), first
    every: list[Any] = list(command.params)
    for param in every:
        assert param.help, param.name
        assert param.name == "overrides" or re.fullmatch(r"[A-Z.].*[.]", param.help), f"{param.name}: {param.help}"
    assert command.examples
    for example in command.examples:
        assert len(example) <= 76
        assert example.startswith(name)
        parsed(example)


def parsed(line: str) -> None:
    """Parse the words of a command line as the command does, without running it."""
    words = shlex.split(line, comments=True)
    if words[0] in reference.PROGRAMS and set(words[1:]) & (OF_TYPER | {"--version"}):
        return
    named = [" ".join(words[:count]) for count in (3, 2, 1)]
    name = next(each for each in named if each in EVERY)
    command, rest = EVERY[name], words[len(name.split()) :]
    _, earlier = with_new_names(rest, command.renamed)
    assert not earlier, f"{line}: {earlier}"
    command.make_context(name, rest)


LINE = re.compile(r"^(?:\$ )?(antibody-(?:esm|train|benchmark)\b.*)$", re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_line_of_the_documentation_parses_with_the_names_of_today(page: Path) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    joined = [re.sub(r"\\\n\s*", "", block) for language, block in blocks if language != "python"]
    for line in (line for block in joined for line in LINE.findall(block) if "[OPTIONS]" not in line):
        parsed(line.split(" > ")[0].split(" | ")[0])


def test_the_test_of_command_lines_can_fail() -> None:
    for line in ("antibody-esm predict a.csv -m m --out b.csv", "antibody-esm predict a.csv -m m -o b.csv --nothing 1"):
        with pytest.raises(Exception, match=r"--out is --output|No such option"):
            parsed(line)


def test_the_page_of_commands_is_what_the_commands_make() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == reference.page(), "run: make commands"


@pytest.mark.parametrize("name", EVERY)
def test_every_command_prints_its_version(name: str) -> None:
    program, *words = name.split()
    done = CliRunner().invoke(reference.PROGRAMS[program], [*words, "--version"])
    assert (done.exit_code, done.stdout) == (0, "antibody_esm 0.1.0\n")


@pytest.mark.parametrize("name", ["antibody-esm", "antibody-esm predict", "antibody-esm data number", "antibody-train"])
def test_help_has_panels_and_examples_in_eighty_columns(name: str) -> None:
    program, *words = name.split()
    done = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(
        reference.PROGRAMS[program], [*words, "--help"], prog_name=program
    )
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    panels = re.findall(r"─ ([A-Z][\w ]+) ─", done.stdout)
    assert "Options" in panels
    assert ("Examples" in panels) == (name != "antibody-esm")
    assert len(panels) >= 3


@pytest.mark.parametrize("name", EVERY)
def test_no_name_and_no_text_of_a_help_is_cut_in_eighty_columns(name: str) -> None:
    program, *words = name.split()
    done = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(
        reference.PROGRAMS[program], [*words, "--help"], prog_name=program
    )
    assert "…" not in done.stdout
    assert all(long(param) in done.stdout for param in options(EVERY[name]))


# --- completion ------------------------------------------------------------------------------------------------------

PROGRAM = "from antibody_esm.cli.{} import main; import sys; sys.argv[0] = 'antibody-esm'; main()"


def completed(*words: str) -> list[str]:
    """Return the completions of the last word, by a process of its own without a network, as bash asks for them."""
    program = (
        "import atexit, sys\n"
        "def no_network(event, arguments):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(no_network)\n"
        "heavy = {'torch', 'pandas', 'numpy', 'sklearn', 'transformers', 'gradio', 'pydantic'}\n"
        "atexit.register(lambda: print('loaded:', *sorted(heavy & set(sys.modules))))\n" + PROGRAM.format("app")
    )
    shell = {"_ANTIBODY_ESM_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | shell | {"COMP_WORDS": "\n".join(words)},
        capture_output=True,
        text=True,
        check=True,
    )
    *names, loaded = done.stdout.splitlines()
    assert set(loaded.split()[1:]) <= {"pydantic"}, loaded
    return names


def test_commands_options_and_presets_are_completed_offline_without_anything_heavy() -> None:
    assert set(completed("antibody-esm", "pre")) == {"predict"}
    assert {"--heavy", "--help"} <= set(completed("antibody-esm", "predict", "--he"))
    assert completed("antibody-esm", "embed", "in.csv", "--language-model", "sapiens") == [
        "sapiens_vh",
        "sapiens_vl",
        "sapiens",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed(shell: str, tmp_path: Path) -> None:
    def run(option: str) -> str:
        # the shell is recognised by the name of the process that started the program
        return subprocess.run(
            [sys.executable, "-c", PROGRAM.format("app"), option, shell],
            env=os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "_ANTIBODY_ESM_COMPLETE" in run("--show-completion")
    assert f"{shell} completion installed in {tmp_path}" in run("--install-completion")
    scripts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_ANTIBODY_ESM_COMPLETE" in path.read_text() for path in scripts)


# --- earlier names ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    heavy = mutants(HEAVY, 40, 12)
    data = Dataset([f"a{i}" for i in range(40)], heavy, label=[i % 2 for i in range(40)])
    trainer = Trainer(DescriptorSpec(descriptors=("net_charge", "composition")), "logreg")
    return trainer.fit(data).save(tmp_path_factory.mktemp("rules") / "model")


@pytest.fixture
def here(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("model").symlink_to(model)
    heavy = mutants(HEAVY, 40, 12)
    frame = pd.DataFrame({"id": range(12), "VH": heavy[:12], "VL": LIGHT, "label": [0, 1] * 6})
    frame.to_csv("t.csv", index=False)
    return tmp_path


def run(*words: str, status: int | None = 0) -> Any:
    done = CliRunner().invoke(reference.PROGRAMS["antibody-esm"], list(words), prog_name="antibody-esm")
    assert status is None or done.exit_code == status, done.output
    return done


def test_an_earlier_name_of_an_option_works_and_warns(here: Path) -> None:
    predict = ("predict", "t.csv", "-m", "model", "--heavy", "VH")
    assert "warning" not in run(*predict, "--output", "new.csv").stderr
    for words in (("--out", "old.csv"), ("--out=old.csv",)):
        done = run(*predict, *words)
        assert "warning: --out is --output now; the earlier name goes after one release" in done.stderr
        assert Path("old.csv").read_bytes() == Path("new.csv").read_bytes()
    number = ("data", "number", "t.csv", "-o")
    run(*number, "new.csv", "--sequence", "VL")
    assert "--column is --sequence now" in run(*number, "old.csv", "--column", "VL").stderr
    run(*number, "light.csv", "--light", "VL")
    assert Path("old.csv").read_bytes() == Path("new.csv").read_bytes() == Path("light.csv").read_bytes()


@pytest.mark.parametrize("name", EVERY)
def test_every_earlier_name_is_of_an_option_that_is_there_and_is_gone_itself(name: str) -> None:
    command = EVERY[name]
    there = {text for param in command.params for text in param.opts}
    for old, new in command.renamed.items():
        assert (new if isinstance(new, str) else new[0]) in there
        assert isinstance(old, tuple) or old not in there


def test_values_that_became_options_are_read_with_either_spelling() -> None:
    renamed = EVERY["antibody-esm recalibrate"].renamed
    for words in (["--threshold", "none"], ["--threshold=none"]):
        changed, warned = with_new_names(["a.csv", *words], renamed)
        assert " ".join(changed).replace("=", " ") == "a.csv --rule none"
        assert warned == ["--threshold none is --rule none now; the earlier name goes after one release"]
    assert with_new_names(["--threshold", "0.3", "--", "--out"], renamed) == (["--threshold", "0.3", "--", "--out"], [])


# --- messages --------------------------------------------------------------------------------------------------------

WRONG: dict[str, list[tuple[str, ...]]] = {
    "predict": [
        ("t.csv", "-m", "model", "-o", "o.csv", "--heavy", "nothing"),
        ("t.csv", "-m", "model", "-o", "o.csv", "--assay", "hic", "--heavy", "VH"),
        ("t.csv", "-m", "model", "-o", "o.csv", "--column", "ph=7", "--heavy", "VH"),
        ("t.csv", "-m", "model", "-o", "o.csv", "--device", "tpu", "--heavy", "VH"),
        ("t.csv", "-m", "model", "-o", "o.csv", "--confidence", "3", "--heavy", "VH"),
        ("t.csv", "-m", "model", "-o", "o.csv", "--layout", "none"),
        ("none.csv", "-m", "model", "-o", "o.csv"),
    ],
    "evaluate": [
        ("t.csv", "-m", "model", "--heavy", "VH", "--label", "nothing"),
        ("t.csv", "-m", "model", "--heavy", "VH", "--assay", "hic"),
        ("t.csv", "-m", "model", "--heavy", "VH", "--labels", "elisa"),
        ("dna.csv", "-m", "model", "--heavy", "VH"),
        ("jain", "-m", "model", "--labels", "nothing"),
    ],
    "recalibrate": [
        ("t.csv", "-m", "model", "-o", "new", "--heavy", "VH", "--assay", "hic"),
        ("t.csv", "-m", "model", "-o", "model", "--heavy", "VH"),
        ("dna.csv", "-m", "model", "-o", "new", "--heavy", "VH"),
    ],
    "curve": [
        ("t.csv", "--language-model", "descriptors", "--by", "group"),
        ("t.csv", "--language-model", "descriptors", "--by", "family"),
        ("t.csv", "--language-model", "nothing"),
        ("t.csv", "--language-model", "descriptors", "--precision", "int8"),
        ("t.csv", "--language-model", "descriptors", "--folds", "7"),
        ("t.csv", "--language-model", "descriptors", "--chain", "paired", "--light", "nothing"),
        ("t.csv", "--language-model", "descriptors", "--fragment", "none"),
        ("dna.csv", "--language-model", "descriptors"),
    ],
    "explain": [("EVQL", "-m", "model"), ("t.csv", "-m", "model", "-o", "o.html"), (LIGHT, "-m", "model")],
    "scan": [
        (HEAVY, "-m", "model", "--positions", "CDR9"),
        (HEAVY, "-m", "model", "--positions", "CDR1", "--protect", "CDR1"),
        (LIGHT, "-m", "model"),
    ],
    "propose": [
        (HEAVY, "-m", "model", "-o", "o.csv", "--higher-is-better", "--language-model", "nothing"),
        (HEAVY, "-m", "model", "-o", "o.csv", "--higher-is-better", "--objectives", "beauty"),
        (HEAVY, "-m", "model", "-o", "o.csv", "--higher-is-better", "--rounds", "t.csv", "--label", "nothing"),
        (HEAVY, "-m", "model", "-o", "o.csv", "--higher-is-better", "--protect", "all"),
    ],
    "fixes": [
        (HEAVY, "-m", "model", "-o", "o.csv", "--language-model", "nothing"),
        (HEAVY, "-m", "model", "-o", "o.csv", "--panel", "t.csv"),
    ],
    "liabilities": [("t.csv", "-o", "o.csv", "--heavy", "nothing"), ("t.csv", "-o", "o.csv", "--species", "yeti")],
    "embed": [
        ("t.csv", "-o", "o.npz", "--sequence", "nothing"),
        ("t.csv", "-o", "o.npz", "--sequence", "VH", "--heavy", "VH"),
        ("t.csv", "-o", "o.npz", "--language-model", "sapiens_vh", "--heavy", "VH", "--light", "VL"),
        ("none.csv", "-o", "o.npz"),
        ("t.csv", "-o", "o.npz", "--language-model", "descriptors"),
        ("t.csv", "-o", "o.npz", "--pooling", "median"),
    ],
    "data number": [
        ("t.csv", "-o", "o.csv", "--sequence", "nothing"),
        ("t.csv", "-o", "o.csv", "--heavy", "VH", "--light", "VL"),
        ("t.csv", "-o", "o.csv", "--heavy", "VH", "--species", "yeti"),
    ],
    "data audit": [
        ("t.csv", "--label", "nothing"),
        ("t.csv", "--against", "t.csv", "--against-columns", "VH=VH"),
        ("nothing",),
    ],
    "store stats": [("--store", "none")],
    "store verify": [("--store", "none")],
    "store explain": [("abc", "--store", "none"), ("model=nothing", "--store", "none")],
    "store gc": [("--store", "none")],
    "store merge": [("none",)],
    "store export": [("o.parquet", "--store", "none")],
    "store import": [("none.parquet",)],
    "app": [("-m", "none"), ("-m", "model", "--device", "tpu")],
    "card": [("none",), ("model", "-o", "card.txt")],
    "serve": [("none",), ("model", "--device", "tpu"), ("model", "--token", "none")],
}
"""Wrong words of each command of ``antibody-esm``."""
PYTHON = re.compile(
    r"(?<![\w'\"/-])[a-z]+(?:[_.][a-z]+)*=(?!=)|\bload_dataset\(|\bSplitSpec\b|\bNone\b|\bTrue\b|\bFalse\b"
)
"""An argument, a field or a value as Python writes it."""
ALLOWED = re.compile(
    r"--column [^:]*: write NAME=VALUE|heavy=\.\.\.[^\n]*|id=\.\.\.[^\n]*|extractor\.model=<name or folder>"
)
"""Forms that the options themselves have."""


def test_every_command_has_wrong_words() -> None:
    assert {name.removeprefix("antibody-esm ") for name in EVERY if name.startswith("antibody-esm")} <= set(WRONG)


PROVOKED = [(name, words) for name, several in WRONG.items() if f"antibody-esm {name}" in EVERY for words in several]


@pytest.mark.parametrize(("name", "words"), PROVOKED)
def test_a_message_names_options_and_not_the_arguments_of_python(here: Path, name: str, words: tuple[str, ...]) -> None:
    Path("dna.csv").write_text("id,VH,label\na,ACGTACGTACGTACGTACGTACGT,1\nb,ACGTACGTAAAAACGTACGTACGT,0\n")
    done = run(*name.split(), *words, status=None)
    assert done.exit_code in (1, 2), done.output
    assert not isinstance(done.exception, AssertionError | KeyError | TypeError)
    text = done.stderr
    for word in (*words, "t.csv", "dna.csv"):
        text = text.replace(word, "")
    assert not PYTHON.findall(ALLOWED.sub("", text)), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name their column with groups=, or use split.by=family",
            "name their column with --groups, or use --by family",
        ),
        ("give heavy='VH' or drop=True", "give --heavy VH or --drop"),
        ("a path /data/heavy=1.csv and 'label=x' stay", "a path /data/heavy=1.csv and 'label=x' stay"),
        ("numbers such as p=0.05 stay", "numbers such as p=0.05 stay"),
        (
            "the column 'sequence' is read as heavy chains; chain= names another",
            "the column 'sequence' is read as heavy chains",
        ),
        ("give it: ExtractorSpec(model='path/to/folder')", "give it: path/to/folder"),
    ],
)
def test_python_names_become_options(text: str, message: str) -> None:
    assert in_options(text, ("--groups", "--heavy", "--drop", "--by", "--label")) == message


def test_overrides_keep_their_own_names() -> None:
    fields = ("--cfg", "--multirun")
    assert in_options("set split.by=family", fields) == "set split.by=family"
    assert (
        in_options("give it: ExtractorSpec(model='path/to/folder')", fields)
        == "give it: extractor.model=path/to/folder"
    )
    assert (
        in_options("give it: ExtractorSpec(model='p')", ("--language-model", "--id")) == "give it: --language-model p"
    )
    assert in_options("give it: ExtractorSpec(model='p')") == "give it: ExtractorSpec(model='p')"  # in Python


PROGRAMS = ("antibody_esm.cli.app", "antibody_esm.cli.train")


def process(program: str, *words: str, stdout: Any = subprocess.PIPE, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", program, *words],
        env={name: text for name, text in os.environ.items() if name != "COLUMNS"} | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file of Linux")
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_a_help_that_cannot_be_written_is_one_line(word: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = process(PROGRAMS[0], word, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_help_that_is_read_in_part_ends_like_other_programs(program: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = process(program, "--help", stdout=pipe)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_of_unknown_width_has_a_whole_help() -> None:
    assert process(PROGRAMS[0], "--help", COLUMNS="0").stdout == process(PROGRAMS[0], "--help").stdout


def test_names_of_plugins_are_no_markup_of_the_help() -> None:
    from rich.text import Text

    names = ["[bold red]x[/]", "[/]", "a\\[b]", *(f"[link=http://x]{'y' * 50}{i}[/link]" for i in range(3))]
    assert "".join(Text.from_markup(train._wrapped(names)).plain.split()) == "".join(", ".join(names).split())


def test_no_name_of_a_file_controls_the_terminal(here: Path) -> None:
    name = "a\x1b[2J\x9b31m\r\u202eb.csv"
    (here / name).write_text("id,heavy\n\x1b]0;x\x07,EVQ!\n")
    done = run("predict", name, "-m", "model", "-o", "out.csv", "--strict", status=1)
    assert r"a\x1b[2J\x9b31m\r\u202eb.csv" in done.stderr
    assert not set(done.stderr) & set("\x1b\x9b\x07\r\u202e")
