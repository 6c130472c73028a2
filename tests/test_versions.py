"""Versions beside results, also where a package runs from its sources."""

import jax

from jaxflow.versions import NOT_INSTALLED, versions_of


def test_an_installed_package_and_one_that_is_not():
    found = versions_of(["jax", "no-such-package"])
    assert found == {"jax": jax.__version__, "no-such-package": NOT_INSTALLED}
