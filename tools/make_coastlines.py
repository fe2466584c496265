"""Turn Natural Earth's 110m land, as the npm package world-atlas carries it, into the coastlines that rmatch draws.

Run once, by hand, when the data changes; the library itself downloads nothing:

    npm pack world-atlas@2.0.2 && tar -xzf world-atlas-2.0.2.tgz
    python tools/make_coastlines.py package/land-110m.json

The input is TopoJSON: every line ("arc") is stored once, as integers, each vertex as the difference from the one
before it, to be scaled and shifted by the file's `transform`. A polygon ring is a list of arc numbers; `~i` (that is
`-1 - i`) stands for arc `i` backwards, and consecutive arcs share one vertex. See the specification,
https://github.com/topojson/topojson-specification, sections 2.1.2, 2.1.4 and 3.

Two files are written to `rmatch/plotting/`: `coastlines.npz` (arrays `lon_lat` and `offsets`) and `coastlines.md`
(where the data came from).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "rmatch" / "plotting"

PROVENANCE = """# Where coastlines.npz comes from

| | |
|---|---|
| data | Natural Earth, land polygons at 1:110 million, <https://www.naturalearthdata.com>, public domain |
| package | npm `world-atlas` version {version}, <https://github.com/topojson/world-atlas> |
| file | `{name}` (TopoJSON) |
| sha256 of that file | `{digest}` |
| licence | the data: public domain; the packaging: ISC, Copyright 2013-2019 Michael Bostock |
| command | `python tools/make_coastlines.py package/{name}` |

`lon_lat` is float32, {vertices} x 2, longitude and latitude in degrees of the vertices of all {rings} polygon rings,
one ring after the other. Ring `i` is `lon_lat[offsets[i]:offsets[i + 1]]`; its last vertex repeats its first.
A ring may cross the date line: there the longitude jumps by about 360 degrees from one vertex to the next.
"""


def main() -> None:
    """Read the command line, decode the file and write the two results."""
    parser = argparse.ArgumentParser(description="Turn land-110m.json of world-atlas into rmatch's coastlines.")
    parser.add_argument("topojson", type=Path, help="path of package/land-110m.json from the unpacked npm package")
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="folder to write to (default: %(default)s)")
    arguments = parser.parse_args()
    source, target = arguments.topojson, arguments.output
    content = source.read_bytes()
    rings = decode_rings(json.loads(content))
    offsets = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])]).astype(np.int32)
    lon_lat = np.concatenate(rings).astype(np.float32)
    np.savez_compressed(target / "coastlines.npz", lon_lat=lon_lat, offsets=offsets)
    text = PROVENANCE.format(
        version=package_version(source),
        name=source.name,
        digest=hashlib.sha256(content).hexdigest(),
        vertices=len(lon_lat),
        rings=len(rings),
    )
    (target / "coastlines.md").write_text(text, encoding="utf-8")
    print(f"{len(rings)} rings, {len(lon_lat)} vertices -> {TARGET / 'coastlines.npz'}")


def decode_rings(topology: dict[str, Any]) -> list[np.ndarray]:
    """The rings of all land polygons of a TopoJSON topology, each an (N, 2) array of longitude and latitude."""
    scale = np.asarray(topology["transform"]["scale"])
    translate = np.asarray(topology["transform"]["translate"])
    arcs = [np.cumsum(np.asarray(arc), axis=0) * scale + translate for arc in topology["arcs"]]
    rings: list[np.ndarray] = []
    for geometry in topology["objects"]["land"]["geometries"]:
        polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        rings += [join_arcs(ring, arcs) for polygon in polygons for ring in polygon]
    return rings


def join_arcs(numbers: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    """One closed ring from its arcs, each of which starts where the one before it ends."""
    pieces = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
    for before, after in pairwise(pieces):
        if not np.array_equal(before[-1], after[0]):
            raise ValueError(f"arcs {numbers} do not join: {before[-1]} is not {after[0]}")
    ring = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
    if not np.array_equal(ring[0], ring[-1]):
        raise ValueError(f"the ring of arcs {numbers} is not closed: {ring[0]} is not {ring[-1]}")
    return ring


def package_version(source: Path) -> str:
    """The version in the `package.json` beside the file."""
    return json.loads((source.parent / "package.json").read_text(encoding="utf-8"))["version"]


if __name__ == "__main__":
    main()
