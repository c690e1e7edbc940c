"""Links to the classes of other projects, without their inventories.

intersphinx reads a list of names from each project's site at build time; where there
is no network, the build would have to go without the links or carry copies of the
lists. The few addresses needed here follow from the names.
"""

from docutils import nodes

SITES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{name}.html",
    "skorch": "https://skorch.readthedocs.io/en/stable/net.html#{name}",
}
# Sections of scikit-learn's manual that docstrings inherited from it point to.
SECTIONS = {
    "accuracy_score": "#accuracy-score",
    "r2_score": "#r2-score-the-coefficient-of-determination",
}
MANUAL = "https://scikit-learn.org/stable/modules/model_evaluation.html"


def resolve(app, env, node, contnode):
    """Link a name that is not in these pages to where its project describes it."""
    name = node.get("reftarget", "")
    site = SITES.get(name.partition(".")[0])
    if node.get("refdomain") == "py" and site is not None:
        address = site.format(name=name)
    elif node.get("reftype") == "ref" and name in SECTIONS:
        address = MANUAL + SECTIONS[name]
    else:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=address)


def setup(app):
    """Connect the resolver."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
