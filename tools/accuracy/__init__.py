"""How accurate dist, log, exp and their gradients are, beside the peers: `python -m tools.accuracy --help`.

`spaces` knows each geometry at 60 to 80 digits and the cases that are hard in it, `peers` what is installed,
`measure` compares the two, and `page` writes the tables of docs/accuracy.md and checks them.
"""
