"""Forms by site: exact names first, then globs in order, and a bare name for the rest."""

import pytest

import onnx_prelu
from onnx_prelu.errors import BadUsage, NotMet
from tests.activations import PRELU, image, mlp

CHAIN = mlp("h0 = PRelu(z, a)", rest="z2 = Gemm(h0, W, b)  h1 = PRelu(z2, a)  y = Gemm(h1, V)")
for node, name in zip(CHAIN.graph.node, ["l0", "head/0", "l1", "head/1", "l2"], strict=True):
    node.name = name
PICKED = {
    "one": ("mirror", ["mirror", "mirror"]),
    "one of two": (["head/0=split", "mirror"], ["split", "mirror"]),
    "order of bare names": (["mirror", "head/0=split"], ["split", "mirror"]),
    "glob": (["head/*=mirror"], ["mirror", "mirror"]),
    "rest by default": (["head/0=mirror"], ["mirror", "split"]),
    "first glob": (["*/1=skip", "head/*=mirror"], ["mirror", "skip"]),
    "exact before glob": (["head/*=mirror", "head/1=skip"], ["mirror", "skip"]),
    "mapping": ({"head/1": "skip", "*": "mirror"}, ["mirror", "skip"]),
    "text": ("head/1=mirror", ["split", "mirror"]),
}


def rewritten(form, **request):
    return onnx_prelu.rewrite(CHAIN, check=False, form=form, **request)


@pytest.mark.parametrize("name", PICKED)
def test_which_form_a_site_gets(name):
    form, expected = PICKED[name]
    assert [site.form for site in rewritten(form).report.sites] == expected


def test_strict_looks_at_what_was_asked_for_each_site():
    form = ["head/0=mirror", "head/1=max", "split"]
    sites = rewritten(form).report.sites
    assert [(site.asked, site.form) for site in sites] == [("mirror", "mirror"), ("max", "mirror")]
    with pytest.raises(
        NotMet, match="--strict: site 'head/1' would take mirror instead of max: not max: max with slope"
    ):
        rewritten(form, strict=True)
    assert rewritten(["head/0=mirror", "split"], strict=True).report.passed


def test_directions_follow_from_all_forms():
    assert rewritten(["head/0=prelu"]).report.to == rewritten("fold").report.to == "prelu"
    assert rewritten(["head/0=skip"]).report.to == "relu"


def test_a_target_takes_forms_by_site_too():
    result = onnx_prelu.rewrite(image(PRELU), check=False, target="relu-only", form={"n_*": "mirror"})
    assert result.report.sites[0].form == "mirror"


WRONG = {
    "no site": (["tail/*=split"], {}, r"--form tail/\* matches no site; the sites are: head/0, head/1"),
    "unknown": (["head/0=splat"], {}, "--form splat is not known"),
    "unknown name": ("head/0", {}, "--form head/0 is not known"),
    "twice": (["split", "mirror"], {}, "--form is given twice for all sites"),
    "pattern twice": (["head/0=split", "head/0=mirror"], {}, "--form is given twice for 'head/0'"),
    "both ways": (["head/0=prelu", "mirror"], {}, "--form prelu is the form of --to prelu"),
    "to prelu": (["head/0=split"], {"to": "prelu"}, "--form split is a form of --to relu"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_forms_are_bad_usage(name):
    form, request, line = WRONG[name]
    with pytest.raises(BadUsage, match=line):
        rewritten(form, **request)
