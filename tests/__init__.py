"""What is held where: ``tests/<package>/test_<file>.py`` holds ``_<file>`` or a part.

``estimators`` are for the modules in the root of the package. Beside the mirror:

- ``invariance``: what a model learns does not hang on how a table is written down.
- ``providers/test_promises``: what every vendor promises; ``test_wire``: faults and
  bounds of HTTP; ``test_secrets``: where a key may be; ``test_what_is_sent``: what goes
  out. What one vendor has alone is in the module of its name.
- ``estimators/test_sklearn_checks``: the checks of scikit-learn; ``test_ecosystem``,
  ``test_clusters``, ``test_explainers``: what others do with models.
- ``test_architecture``, ``test_release``, ``test_docs``, ``test_readme``,
  ``test_notebooks``: the repository itself.

Helpers: ``fakes`` (providers without a network), ``loopback`` and ``vendors`` (servers
that speak as vendors do), ``batches``, ``pictures`` (are they readable?), ``behaviour``
(numbers of a version, recorded and compared; not collected).
"""
