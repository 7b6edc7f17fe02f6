"""README and docs/: short, true to the code and to the committed results.

Each check is a function from a page to complaints. `WRONG` holds a page that breaks
each of them.
"""

import contextlib
import functools
import importlib
import io
import pathlib
import re

import pytest

from jidcl.cli.main import VERBS, main
from test_architecture import LEVELS

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/report/report.md"]
PAGES += sorted((ROOT / "jidcl").rglob("README.md"))
FOLDERS = ("benchmarks", "docs", "experiments", "jidcl", "tests")
SCORE = re.compile(r"-?\d+\.\d\d\b")


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text):
    """The anchors of a page's headings, as code hosts make them."""
    for title in re.findall(r"^#+ (.*)$", without_code(text), flags=re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", title.strip().lower())
        yield kept.replace(" ", "-")


def broken_links(page, text):
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in set(anchors(target.read_text())):
            yield f"{link}: no such heading"


def exists(name):
    """Whether a dotted name is a module, or an attribute of one."""
    module, names = None, name.split(".")
    for end in range(1, len(names) + 1):
        try:
            module = importlib.import_module(".".join(names[:end]))
        except ModuleNotFoundError:
            return end == len(names) and hasattr(module, names[-1])
    return True


def unknown_names(page, text):
    for name in sorted(set(re.findall(r"`(jidcl(?:\.\w+)+)", text))):
        if not exists(name):
            yield f"{name}: no such name"


def unknown_files(page, text):
    """Files and folders of the repository that are named in full."""
    named = rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./-]*)"
    for path in sorted(set(re.findall(named, text))):
        if not (ROOT / path.rstrip(".")).exists():
            yield f"{path}: no such file"


@functools.cache
def listed(what):
    """What `jidcl list` prints, as rows of words."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["list", what]) == 0
    return [line.split() for line in text.getvalue().splitlines()]


def unknown_commands(page, text):
    """Verbs, systems and presets of the commands of a page."""
    text = re.sub(r"\s*\\\n\s*", " ", text)
    for verb in sorted(set(re.findall(r"`jidcl ([\w-]+)|^jidcl ([\w-]+)", text, re.M))):
        if "".join(verb) not in VERBS:
            yield f"{''.join(verb)}: no such verb"
    systems = {row[0] for row in listed("systems")}
    for system in sorted(set(re.findall(r"--system ([\w:]+)", text))):
        if ":" not in system and system not in {*systems, "all"}:
            yield f"{system}: no such system"
    presets = {row[1] for row in listed("presets")}
    for preset in sorted(set(re.findall(r"jidcl (?:train|sweep) ([\w:/.-]+)", text))):
        if preset.islower() and preset.rpartition(":")[2] not in presets:
            yield f"{preset}: no such preset"


CHECKS = (broken_links, unknown_names, unknown_files, unknown_commands)
WRONG = {
    broken_links: ("[a](docs/nowhere.md)", "[a](docs/words.md#nowhere)", "[a](#no)"),
    unknown_names: ("`jidcl.losses.nowhere`", "`jidcl.nowhere`", "`jidcl.nowhere.mix`"),
    unknown_files: ("`experiments/nowhere.py`", "```\nbenchmarks/no.sh OUT\n```"),
    unknown_commands: (
        "`jidcl dance`",
        "`jidcl verify --system nowhere`",
        "```\njidcl train quick/nowhere --tau 1\n```",
        "```\njidcl sweep diet:quick/nowhere\n```",
    ),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_page_names_only_what_exists(check, page):
    complaints = list(check(page, page.read_text()))
    if complaints:
        pytest.fail("\n".join([f"{page.name}:", *complaints]), pytrace=False)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        pytest.param(check, text, id=f"{check.__name__}: {text}")
        for check, texts in WRONG.items()
        for text in texts
    ],
)
def test_check_sees_what_is_wrong(check, text):
    assert len(list(check(README, text))) == 1


def test_front_page_is_short():
    assert len(README.read_bytes()) <= 7000


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", index.read_text()))
    assert linked == {p.name for p in (ROOT / "docs").glob("*.md")} - {index.name}


def test_architecture_shows_the_levels():
    text = (ROOT / "docs/architecture.md").read_text()
    (block,) = re.findall(r"Lowest first:\n\n```\n(.*?)```", text, flags=re.DOTALL)
    shown = tuple(tuple(line.split(", ")) for line in block.splitlines())
    assert shown == LEVELS


@pytest.mark.many_programs(reason="a whole run")
def test_the_problem_of_your_own_runs_and_identifies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it leaves its run there
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(code.splitlines()) <= 35
    scope: dict = {}
    exec(compile(code, str(README), "exec"), scope)
    assert scope["judged"].word in ("identified", "identified early")
    assert scope["judged"].record.values("r2").min() > 0.97


def scores_of(page, title):
    """Numbers of two decimals in the section of a page that has that title."""
    text = page.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return set(SCORE.findall("\n".join(rows)))


@pytest.mark.parametrize(
    ("page", "title", "least"),
    [
        ("README.md", "Systems", 9),
        ("docs/results-summary.md", "What comes out, what fails", 35),
    ],
)
def test_quick_scores_are_those_of_the_committed_verdicts(page, title, least):
    shown = scores_of(ROOT / page, title)
    results = (ROOT / "docs/results.md").read_text()
    assert len(shown) >= least
    assert shown <= set(SCORE.findall(results))


def test_page_of_speed_shows_the_committed_table():
    table = (ROOT / "benchmarks/results/table.md").read_text()
    assert table in (ROOT / "docs/speed.md").read_text()
