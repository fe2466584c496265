"""Mutation testing of the geometry and the densities: `python -m tools.mutation --help`.

A mutant is a source file with one small error in it, made by an operator of cosmic-ray: `+` for `-`, `2` for `1`,
`<=` for `<`, a loop that never runs. It is killed if a test fails, and it survives if all pass. A survivor is either
no error at all (it computes the same) or a gap in the tests; docs/mutation.md lists every one and says which.

Needs `pip install cosmic-ray` besides what the tests need, and a system that forks. It is not part of CI.
"""
