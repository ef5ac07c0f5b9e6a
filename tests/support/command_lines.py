"""Whether a command line that a page names is one: parsed by the real parsers, and never run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import click

from mistudio.cli.app import app
from mistudio.cli.session import Session
from mistudio_runtime.queues import load_queues
from mistudio_runtime.worker.options import parse_options
from support.pages import ROOT

PLACEHOLDERS = {
    "KIND": "train_sae",
    "PROFILE": "full",
    "SERVICE": "trainer",
    "QUEUE": "training",
    "N": "2",
    "a,b": "ingest,curator",
}
"""Words that stand for others, of which only some would do."""
_SERVICES = load_queues().services
_SEPARATORS = {"&&", "||", ";", "|", "&"}
_FILE = re.compile(r"[\w.-]+\.(json|toml|txt)")


def check(line: str, *, mentioned: bool = False) -> None:
    """Raises AssertionError or click.ClickException if a program of ours in the line would not take its arguments.

    A command that is only `mentioned` may lack its arguments ("`mistudio jobs watch`") and mark what is optional or
    one of several ("[SERVICE]", "minimal|full").
    """
    text = _one_reading(line) if mentioned else line
    for words in _programs(text):
        program, *arguments = [_SERVICES[-1] if word == "<service>" else PLACEHOLDERS.get(word, word) for word in words]
        if program == "mistudio":
            _check_command(arguments, mentioned=mentioned)
        elif program == "make":
            _check_make(arguments)
        elif program in _scripts():
            _check_module(_scripts()[program], arguments)
        elif program.startswith("python") and arguments[:1] == ["-m"]:
            _check_module(arguments[1].replace("<service>", "trainer"), arguments[2:])


def _one_reading(text: str) -> str:
    """Returns a synopsis with everything optional in it, and the first of each alternatives."""
    text = re.sub(r"[\[\]]|(?<=\w)\|[\w|…]+", "", text)
    return re.sub(r"\s(…|\.\.\.)(?=\s|$)", "", text)


def _programs(line: str) -> Iterator[list[str]]:
    """Yields program and arguments of each command of a line, without variables, redirections and paths."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>" if "<service>" not in line else "|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _SEPARATORS:
            words.append(word)
            continue
        if plain := _without_frame(words):
            yield plain
        words = []


def _without_frame(words: list[str]) -> list[str]:
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in {"sudo", "nohup", "export", "time", "watch"}):
        words = words[1:]
    end = next((index for index, word in enumerate(words) if word in {">", ">>", "<", "2>"}), len(words))
    return [Path(words[0]).name, *words[1:end]] if words else []


def _check_command(arguments: Sequence[str], *, mentioned: bool) -> None:
    for word in filter(_FILE.fullmatch, arguments):
        Path(word).write_text("{}", encoding="utf-8")  # click opens what is to be read
    command: click.Command = app
    context: click.Context | None = None
    rest = list(arguments)
    while True:
        try:
            context = command.make_context(command.name, list(rest), parent=context, obj=Session(gateway=""))
        except click.exceptions.Exit:
            return  # --help, --version
        except click.exceptions.NoArgsIsHelpError:
            return
        except click.MissingParameter:
            if mentioned and not rest:
                return
            raise
        except click.BadOptionUsage as error:
            if mentioned and rest[-1:] == [error.option_name]:  # "take `mistudio up --profile`"
                return
            raise
        rest = [*context._protected_args, *context.args] if isinstance(command, click.Group) else []
        if not rest:
            return
        assert isinstance(command, click.Group)
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found


def _check_make(arguments: Sequence[str]) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    unknown = {word for word in arguments if "=" not in word and not word.startswith("-")} - targets
    assert not unknown, f"the Makefile has no target {', '.join(sorted(unknown))}"


def _check_module(module: str, arguments: Sequence[str]) -> None:
    if not module.startswith(("mistudio", "bench", "tools")):
        return
    assert _can_be_run(module), f"there is no module {module}"
    service = module.removeprefix("mistudio_")
    if service in _SERVICES:
        parse_options([service], load_queues(), "host", arguments)
    elif module == "mistudio_runtime.worker":
        parse_options([], load_queues(), "host", arguments)
    elif module == "mistudio_gateway":
        assert not arguments, "the gateway takes no arguments"


def _can_be_run(module: str) -> bool:
    if module.startswith("mistudio"):
        found = importlib.util.find_spec(module)
        return found is not None and (found.submodule_search_locations is None or _can_be_run(f"{module}.__main__"))
    place = ROOT / module.replace(".", "/")
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


def _scripts() -> dict[str, str]:
    """Returns the installed programs of the mesh but the main one, with the module that each runs."""
    found = entry_points(group="console_scripts")
    return {one.name: one.module.removesuffix(".__main__") for one in found if one.name.startswith("mistudio-")}
