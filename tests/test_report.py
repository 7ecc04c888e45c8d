"""The page: whole, escaped, accessible, and safe to open; and which runs may be shown on one."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from headstart import plots
from headstart.errors import BadData, StorageError, UsageError
from headstart.evaluation import Curve
from headstart.report import Report, gather

HOSTILE = "<script>alert('&\"')</script>"


class Page(HTMLParser):
    """Which tags there are, with their attributes, and whether each is closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def curves():
    scores = np.random.default_rng(0).normal(size=(3, 4, 3))
    whole = Curve(np.array([0, 10, 1000]), scores)
    return {"hybrid $1 of $2": whole, "rules only": Curve(np.array([0]), scores[:, :, :1])}


@pytest.fixture(scope="module")
def full(curves):
    strength = plots.adaptation_curves(curves, title=HOSTILE, levels={"one-ply": 0.5})
    bars = plots.arms({"one run": [[0.1, 0.4]], "three": np.eye(3)}, title="Arms")
    return (
        Report(HOSTILE)
        .heading(HOSTILE)
        .text(HOSTILE, "second")
        .facts({"command": HOSTILE, "versions": {"jax": "0.7"}, "commit": None, "seconds": 12.3456})
        .table([HOSTILE, "games", "held out"], [[HOSTILE, 12345, True], ["b", None, False]], caption=HOSTILE)
        .figure(strength, "strength", alt=HOSTILE, caption=HOSTILE)
        .figure(bars, "arms", alt="two arms")
        .board(". X\nO .", caption=HOSTILE)
        .boards([("<svg onload='alert(1)'></svg>", HOSTILE)], alt=HOSTILE)
    )


def test_what_it_is_told_is_escaped(full):
    page = Page(full.html())
    assert not page.all("script")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) >= 9


def test_it_needs_nothing_from_anywhere(full):
    html = full.html()
    page = Page(html)
    assert not page.all("link")
    assert not page.all("iframe")
    loaded = [
        value for _, attributes in page.tags for name, value in attributes.items() if name.endswith(("src", "href"))
    ]
    assert loaded
    assert all(value.startswith(("data:image/svg+xml;base64,", "#")) for value in loaded)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_every_image_has_words(full):
    page = Page(full.html())
    assert all(image["alt"].strip() for image in page.all("img"))
    plot = [attributes for attributes in page.all("div") if attributes.get("class") == "plot"]
    assert [attributes["aria-label"] for attributes in plot] == [HOSTILE, "two arms"]
    with pytest.raises(UsageError, match="needs words"):
        Report("a").boards([("<svg/>", "")], alt="  ").boards([], alt="x").figure(None, "x", alt=" ")


def test_groups_carry_no_ids_that_another_plot_would_repeat(full):
    ids = [attributes["id"] for tag, attributes in Page(full.html()).tags if tag == "g" and "id" in attributes]
    assert ids == []


def test_plots_take_the_ink_of_the_page(full):
    html = full.html()
    assert "currentColor" in html
    assert plots.INK not in "".join(full.sections)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_numbers_are_written_for_people(full):
    text = Page(full.html()).text
    for written in ("12,345", "n/a", "yes", "no", "jax 0.7", "12.346"):
        assert written in text


def test_it_writes_the_page_and_its_plots(full, tmp_path):
    path = full.write(tmp_path / "run")
    assert path.read_text(encoding="utf-8") == full.html()
    assert sorted(file.name for file in path.parent.iterdir()) == ["arms.png", "report.html", "strength.png"]
    assert (path.parent / "arms.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StorageError, match="could not be written"):
        full.write(path)


def test_a_report_is_a_value():
    short = Report("a").text("one")
    assert short.text("two") != short
    assert short == Report("a").text("one")


def test_positions_are_images():
    (image,) = Page(Report("a").boards([("<svg>é</svg>", "move 3")], alt="a game").html()).all("img")
    assert base64.b64decode(image["src"].split(",")[1]).decode() == "<svg>é</svg>"
    assert image["alt"] == "a game: move 3"


@pytest.mark.parametrize("name", ["../x", "a b", "", "strength"])
def test_a_plot_needs_a_plain_new_name(full, name):
    with pytest.raises(UsageError, match="must be new"):
        full.figure(None, name, alt="x")


def test_a_row_needs_a_cell_for_each_header():
    with pytest.raises(UsageError, match="has 1 cells for 2 headers"):
        Report("a").table(["a", "b"], [["x"]])


def test_equal_plots_are_equal_files(curves):
    first, second = (Report("a").figure(plots.adaptation_curves(curves), "x", alt="x") for _ in range(2))
    assert first == second


def test_zero_games_have_a_place_on_the_axis(curves):
    (axes,) = plots.adaptation_curves(curves).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "10", "100", "1,000"]
    places = axes.transData.transform([(0, 0), (1, 0), (10, 0), (100, 0)])[:, 0]
    assert np.all(np.diff(places) > 20)


def test_ends_that_are_near_have_ticks_between_them_and_little_around_them():
    (axes,) = plots.adaptation_curves({"a": Curve(np.array([76_800, 307_200]), np.ones((3, 1, 2)))}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100,000", "200,000"]
    low, high = axes.get_xlim()
    assert 50_000 < low < 76_800
    assert 307_200 < high < 400_000


def test_groups_of_bars_stand_side_by_side_on_one_scale():
    lows = {"first": 0.25, "second": 0.5}
    bars = {
        who: {case: {"common": [[0.9], [0.7]], "uncommon": [[low]]} for case in ("paid", "not")}
        for who, low in lows.items()
    }
    figure = plots.panels(bars, score="stays", limit=1.0)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    for axes, (_, low) in zip(figure.axes, lows.items(), strict=True):
        heights = [round(bar.get_height(), 6) for bar in axes.patches]
        assert heights == [0.8, low, 0.8, low]
        assert axes.get_ylim() == (0, 1.0)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["paid", "not"]
        middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
        np.testing.assert_allclose(middles, [-0.2, 0.2, 0.8, 1.2])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["common", "uncommon"]
    with pytest.raises(BadData, match="1 to 8"):
        plots.panels({}, score="stays")


def test_more_arms_than_colours_are_refused():
    with pytest.raises(BadData, match="not 9"):
        plots.arms({str(at): [[0.0]] for at in range(9)})
    with pytest.raises(BadData, match="not 0"):
        plots.adaptation_curves({})


def run(directory, *, done, iterations=4, **configuration):
    directory.mkdir()
    described = {"format": 1, "configuration": {"iterations": iterations, **configuration}, "seed": 0, "versions": {}}
    (directory / "run.json").write_text(json.dumps(described))
    (directory / "metrics.jsonl").write_text("".join(f'{{"iteration": {at + 1}}}\n' for at in range(done)) + '{"iter')
    return directory


def test_runs_that_are_not_complete_are_left_out_and_listed(tmp_path):
    whole = [run(tmp_path / name, done=4, every=every) for name, every in (("a", 1), ("b", 2))]
    half = run(tmp_path / "half", done=2)
    (tmp_path / "empty").mkdir()
    broken = run(tmp_path / "broken", done=4)
    (broken / "run.json").write_text("{")
    gathered = gather([whole[0], half, tmp_path / "empty", broken, whole[1]])
    assert gathered.groups == (tuple(whole),)
    reasons = {path.name: reason for path, reason in gathered.left_out}
    assert reasons["half"] == "stands at iteration 2 of 4"
    assert reasons["empty"] == "holds no run"
    assert "cannot be read" in reasons["broken"]
    with pytest.raises(UsageError, match="no run is complete"):
        gather([half])


def test_mixed_configurations_are_refused_unless_grouped(tmp_path):
    slow, fast = run(tmp_path / "slow", done=4, rate=0.1), run(tmp_path / "fast", done=4, rate=0.2)
    with pytest.raises(UsageError, match="different configurations"):
        gather([slow, fast])
    assert gather([slow, fast], grouped=True).groups == ((slow,), (fast,))
