"""The page for a browser, read as a parser reads it: whole, self-contained, and true to its report."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from examples import AFTER, BEFORE, DRAWING, FASTER, REPORTS, SPLIT

from onnx_prelu.passes.choice import Choice
from onnx_prelu.passes.drawing import Drawing, Drawn
from onnx_prelu.report.report import Report
from onnx_prelu.report.web.charts import cells, histogram, spreads
from onnx_prelu.report.web.graph import graph
from onnx_prelu.report.web.layers import laid_out
from onnx_prelu.report.web.page import html

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Every element with its attributes, the text inside of each kind, and a failure where one is left open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], {}, []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_whole_and_needs_nothing_from_outside(name):
    text = html(REPORTS[name])
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not re.search(r"url\(|@import|javascript:|https?:", text)
    assert {key for _, attributes in page.elements for key in attributes if key.startswith("on")} == set()
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes["href"][0] == "#" and attributes["href"][1:] in ids for attributes in page.all("a"))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


@pytest.mark.parametrize("name", REPORTS)
def test_pictures_are_told_in_words_and_what_scrolls_can_be_reached(name):
    page = Page(html(REPORTS[name]))
    assert all(each["role"] == "img" and each["aria-label"] for each in page.all("svg"))
    scrolling = [each for each in page.all("div") if each.get("class") == "wide"]
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrolling)


def labels(report):
    return [each["aria-label"] for each in Page(html(report)).all("svg")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "rewrite",
            [
                "act0 before: Gemm, PRelu, Gemm, input, output",
                "act0 after: Gemm, Relu, Gemm, input, output",
                "64 slopes from -0.3123 to 1.7",
                "sizes before and after",
                "nodes by op before and after",
                "where output features differs on cpu",
                "where output logits differs on cpu",
                "times on CPU, 1 thread",
            ],
        ),
        ("inspect", ["act0 before: Gemm, PRelu, Gemm, input, output"]),
        ("nothing", []),
        ("full", ["times on CPU, 1 thread"]),
    ],
)
def test_the_pictures_of_a_report(name, expected):
    assert labels(REPORTS[name])[: len(expected)] == expected
    assert (len(labels(REPORTS[name])) > len(expected)) == (name == "inspect")


def test_what_a_fold_would_save_is_drawn_where_it_would():
    label = "parameters that a fold of wide0 would save, by tolerance"
    assert [each for each in labels(REPORTS["inspect"]) if "fold" in each] == [label]
    assert "50 %" in Page(html(REPORTS["inspect"])).words["text"]


def test_the_verdict_and_the_failure_stand_first():
    words = Page(html(REPORTS["check"])).words
    assert words["p"][:2] == ["failed", REPORTS["check"].failure]
    assert Page(html(REPORTS["inspect"])).words["p"][0] == "done"


def test_what_a_node_holds_stands_in_its_box():
    words = Page(html(REPORTS["rewrite"])).words["text"]
    assert {"64x32, 64", "128x32, 128", "8x64", "8x128"} <= set(words)


def test_text_from_the_model_is_text():
    nodes = (Drawn("</svg><b>", "<i>", (), ("x",)),)
    site = Choice("<script>", "<u>", False, "</table>", spelling="&amp;", drawing=Drawing(nodes, nodes))
    page = Page(html(Report("rewrite", "<title>", "relu", sites=(site,), notes=("<!--",))))
    assert not {tag for tag, _ in page.elements} & {"script", "b", "i", "u"}
    assert page.words["code"] == ["&amp;"]
    assert "<!--" in page.words["li"]


def test_only_so_many_sites_are_drawn():
    many = Report("rewrite", "net.onnx", "relu", sites=tuple(replace(SPLIT, node=f"act{i}") for i in range(60)))
    page = Page(html(many))
    assert len(page.all("details")) == 50
    assert sum("open" in each for each in page.all("details")) == 3
    assert "10 more sites are in the JSON report." in page.words["p"]


@pytest.mark.parametrize(
    ("value", "shade"),
    [
        (1e-9, "near1"),
        (2e-4, "near2"),
        (0.02, "near4"),
        (1.0, "near4"),
        (1.001, "beyond"),
        (math.inf, "lost"),
    ],
)
def test_a_cell_says_how_near_it_is(value, shade):
    drawn = [each for each in Page(cells(((0.0, value),), "a")).all("rect") if each["class"].startswith("cell")]
    assert [each["class"] for each in drawn] == [f"cell {shade}"]


def test_bars_of_a_histogram_stand_where_their_values_are():
    rects = Page(histogram((4, 0, 2, 0), -1.0, 1.0, "a")).all("rect")
    assert [float(each["x"]) for each in rects] == [0.5, 160.5]
    assert float(rects[0]["height"]) == 2 * float(rects[1]["height"])


@pytest.mark.parametrize("times", [(1.0,), (2.0, 2.0, 2.0), tuple(range(1, 101))])
def test_times_are_drawn_however_few_or_equal(times):
    page = Page(spreads([("before", "before", times), ("after", "after", times)], "a"))
    median = sorted(times)[len(times) // 2]
    assert page.words["text"].count(f"{median:g} ms") >= 2
    assert not re.search("nan|inf", " ".join(each["d"] for each in page.all("path")))


def test_costs_that_are_not_known_are_not_drawn():
    words = Page(html(Report("bench", "a", before=BEFORE, after=AFTER))).words["text"]
    assert "MACs" in words
    assert "peak activation bytes" not in words


def test_several_models_are_called_by_their_names():
    several = Page(html(REPORTS["several"])).words["text"]
    two = Page(html(Report("bench", "a", against="b.onnx", latency=(FASTER,)))).words["text"]
    assert {"b.onnx", "c.onnx"} <= set(several)
    assert "after" in two
    assert "b.onnx" not in two


GRAPHS = {
    "chain": (3, [(0, 1), (1, 2)]),
    "mirror": (6, [(0, 1), (0, 2), (2, 3), (3, 4), (1, 5), (4, 5)]),
    "skip": (4, [(0, 1), (1, 2), (2, 3), (0, 3)]),
    "wide": (7, [(0, n) for n in range(1, 6)] + [(n, 6) for n in range(1, 6)]),
    "apart": (2, []),
    "one": (1, []),
    "late": (4, [(0, 1), (1, 2), (3, 2)]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_no_two_nodes_and_no_edge_take_the_same_place(name):
    count, edges = GRAPHS[name]
    layout = laid_out(count, edges, width=100, gap=10)
    assert all(layout.rows[start] < layout.rows[end] for start, end in edges)
    places = [(layout.rows[node], layout.centres[node], 100) for node in range(count)]
    places += [(row, centre, 0) for path in layout.paths.values() for row, centre in path]
    for at, (row, centre, width) in enumerate(places):
        assert 0 <= centre - width / 2 <= centre + width / 2 <= layout.width
        for other_row, other, other_width in places[:at]:
            assert row != other_row or abs(centre - other) >= (width + other_width) / 2
    for (start, end), path in layout.paths.items():
        assert [row for row, _ in path] == list(range(layout.rows[start] + 1, layout.rows[end]))


def test_an_input_stands_just_above_its_reader():
    assert laid_out(*GRAPHS["late"], width=100, gap=10).rows == [0, 1, 2, 1]


def test_every_edge_is_drawn_once():
    page = Page(graph(DRAWING.before, "a"))
    assert sum(each["class"] == "edge" for each in page.all("path")) == 4
    assert [each["class"] for each in page.all("g")] == [
        "node layer", "node site", "node layer", "node end", "node end",
    ]  # fmt: skip
