"""A package, so that a test can import the helpers beside it (a peer's wheel installs a package of this name too)."""
