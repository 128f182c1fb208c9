"""Settings of the documentation site; `make docs` builds it, without the network."""

import stylectl

project = "stylectl"
author = project_copyright = "the stylectl authors"
release = version = stylectl.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "stylectl.docs.public_names",
    "stylectl.docs.repository_links",
]
exclude_patterns = ["_build"]

html_title = f"stylectl {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
smartquotes = False  # `--` is a flag

# Sections have anchors; a link to a missing page or anchor is a warning, with `make docs` an error.
myst_heading_anchors = 4
# Blocks without a language are commands.
highlight_language = "none"
copybutton_exclude = ".linenos, .gp, .go"

# The API reference, from the docstrings. In them, `name` is a link if the reference has that name.
default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_type_aliases = {
    name: f"stylectl.{name}"
    for name in ("Evaluate", "Features", "Loss", "Pullback", "Region", "Statistics")
}

nitpick_ignore_regex = [
    # `name` in a docstring that is no name of the reference: shown as code.
    ("py:obj", ".*"),
    # Other packages, whose documentation the build does not fetch, and type variables.
    (
        "py:.*",
        r"(collections|fractions|np|numpy|pathlib|pluggy|pydantic|pytest|torch|typing|Tensor|Image)(\..*)?",
    ),
    ("py:.*", r"(.*\.)?[A-Z](_co)?"),
    # Types of stylectl that are not public, in public signatures: what pytest passes to the tests
    # of BackendSuite, the plan of a Task, what a Plugins holds, the margins of a SourceImage,
    # the names of precisions.
    (
        "py:class",
        r"(stylectl\..*\.)?(Case|Margins|OptionModels|Plan|PluginRecord|Precision|Registry)",
    ),
]
