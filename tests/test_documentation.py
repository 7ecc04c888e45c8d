"""What the pages say is true: their snippets run, and the names, commands and files they mention exist."""

import ast
import dataclasses
import importlib
import pathlib
import re
import runpy
import sys
import tomllib
import types

import pytest

from headstart.worlds.boardgames.rules import CLASSICS, Rules, loads

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"\bheadstart(?:\.\w+)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page, language):
    """The blocks of a language on a page, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found[1] == language:
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


def having(language):
    return [pytest.param(page, id=page.name) for page in PAGES if any(blocks(page, language))]


@pytest.mark.usefixtures("quick_to_compile")
@pytest.mark.parametrize("page", having("python"))
def test_snippets_run(page, monkeypatch):
    module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look for the module of a class
    for line, code in blocks(page, "python"):
        tree = ast.increment_lineno(ast.parse(code), line - 1)
        exec(compile(tree, str(page), "exec"), module.__dict__)


@pytest.mark.parametrize("page", having("toml"))
def test_rules_are_read(page):
    for _, source in blocks(page, "toml"):
        assert isinstance(loads(source), Rules)


@pytest.mark.parametrize("page", having("console"))
def test_commands_exist(page):
    from headstart.cli import VERBS
    from headstart.recipes import RECIPES

    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line, block in blocks(page, "console"):
        for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            program, first = command.split()[:2]
            known = {"make": targets, "headstart": [*VERBS, "--help"], "pip": ["install"]}
            assert first in known[program], f"{page.name}, line {line}: {command}"
            assert first != "train" or "--help" in command or command.split()[2] in RECIPES, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_resolve(page):
    for name in sorted(set(NAME.findall(page.read_text(encoding="utf-8")))):
        assert resolves(name), f"{page.name} speaks of {name}, which does not exist"


def resolves(name):
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not module.startswith(str(error.name)):
                raise
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_that_do_not_exist_are_noticed():
    assert resolves("headstart.core.source.Chain")
    assert not resolves("headstart.core.source.Chian")
    assert not resolves("headstart.sauce.Chain")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {page.name for page in PAGES} - {"README.md"}


def test_every_rule_and_classic_is_explained():
    text = (ROOT / "docs" / "boardgames.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [field.name for field in dataclasses.fields(Rules)]
    assert [name for name in CLASSICS if f"`{name}`" not in text] == []


def test_every_verb_is_explained():
    from headstart.cli import VERBS

    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `headstart ([\w-]+)", text, re.MULTILINE) == list(VERBS)


def test_tables_are_those_of_the_results(tmp_path):
    tables = runpy.run_path(str(ROOT / "tools" / "tables.py"))
    filled = tables["filled"]
    for page in tables["PAGES"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert filled(text) == text, "run  python tools/tables.py"
    assert "No result is published yet" in filled(text, tmp_path)


def test_a_result_becomes_tables(tmp_path):
    from headstart.studies.study import Arm, Paper, Verdict, conclude, write

    arms = {"reads the rules": Arm.of([[0.5, 0.7], [0.6, 0.6], [0.5, 0.6]]), "once": Arm.of([[0.25, 0.25]])}
    verdict = Verdict("the words help", True, measured=0.3, threshold=0.2)
    about = {"study": "newgame", "claim": "c", "paper": Paper("k", ()), "quick": False, "seconds": 0.0}
    result = conclude(arms=arms, verdicts=(verdict,), **about)
    (tmp_path / "results" / "newgame").mkdir(parents=True)
    write(result, tmp_path / "results" / "newgame")
    filled = runpy.run_path(str(ROOT / "tools" / "tables.py"))["filled"]
    page = filled("<!-- results:newgame -->\nstale\n<!-- /results -->\nafter", tmp_path)
    assert "stale" not in page
    assert page.endswith("<!-- /results -->\nafter")
    assert "| the words help | yes | 0.30 | 0.20 |" in page
    assert "reads the rules" not in page
    arms = filled("<!-- results:newgame/arms -->\n<!-- /results -->", tmp_path)
    assert "| reads the rules | 0.575 |" in arms
    assert "| once | 0.250 | n/a (1 run) | 1 × 2 |" in arms


def test_the_version_is_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}\n" in citation
    assert importlib.import_module("headstart").__version__ == project["version"]
