"""How Sphinx builds the site.

``make docs``, or ``python -m sphinx -W --keep-going -b html docs docs/_build/html``.

Neither the build nor the pages fetch anything: there is no inventory of other
projects (`_ext/outside.py` makes plain links), no script from elsewhere, and equations
are MathML (`_ext/mathml.py`). Notebooks run if LLMREG_RUN_NOTEBOOKS is set; without it
they are shown with the outputs that they were committed with.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parents[1]))

# Examples that draw are imported here, and no window may open.
os.environ.setdefault("MPLBACKEND", "agg")

import llmreg

project = "llmreg"
author = "The llmreg developers"
project_copyright = author
version = release = llmreg.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "command_line",
    "gallery",
    "house_map",
    "mathml",
    "outside",
    "pictures",
    "repository",
]
exclude_patterns = ["_build", "notebooks/README.md", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True

# Markdown
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# Notebooks
nb_execution_mode = "force" if os.environ.get("LLMREG_RUN_NOTEBOOKS") else "off"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
# The default names two scripts on other people's servers.
nb_ipywidgets_js = {}

# Docstrings
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Looks
html_theme = "pydata_sphinx_theme"
html_title = f"llmreg {release}"
html_static_path = ["_static"]
html_css_files = ["llmreg.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "llmreg"},
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Tables of figures need the room, and pages without neighbours have nothing to list.
WIDE = ("index", "start", "notebooks", "benchmarks", "tables")
html_sidebars = {name: [] for name in WIDE}


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what classes inherit from other packages, but for `score`."""
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or "llmreg"
    return None if module.startswith("llmreg") or name == "score" else True


def setup(app):
    """Connect what is defined here."""
    app.connect("autodoc-skip-member", skip_foreign)
