"""Equations as MathML, which browsers draw themselves: no script, nothing fetched.

MathJax would come from another server whenever a page is looked at, or as megabytes of
script beside the pages. docutils, which Sphinx stands on, can translate the part of
LaTeX that is needed here.
"""

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml


def inline(writer, node):
    """Write an equation within a sentence."""
    writer.body.append(tex2mathml(node.astext()))
    raise SkipNode


def block(writer, node):
    """Write an equation on a line of its own, with its number if it has one."""
    number = node.get("number")
    writer.body.append(writer.starttag(node, "div", CLASS="math notranslate"))
    if number:
        writer.body.append(f'<span class="eqno">({number})</span>')
    writer.body.append(tex2mathml(node.astext(), as_block=True) + "</div>\n")
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
