"""Tables of symmetric positive definite matrices, and of rotations in their three forms."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import rmatch as rm
from rmatch.datasets import AxisAngles, Coordinates, Quaternions, RotationMatrices, UpperTriangles, read_table

RNG = np.random.default_rng(0)
HALF = math.sqrt(0.5)


def matrices(count: int, n: int) -> NDArray[np.float64]:
    factors = RNG.normal(size=(count, n, n))
    return factors @ factors.swapaxes(1, 2) + 0.1 * np.eye(n)


def csv(path: Path, header: str, rows: Any) -> Path:
    path.write_text(header + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in np.asarray(rows).tolist()))
    return path


def error_of(path: Path, manifold: Any, **options: Any) -> str:
    with pytest.raises(rm.DataError) as caught:
        read_table(path, manifold, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ positive matrices


def test_the_upper_triangle_is_read_row_by_row(tmp_path: Path) -> None:
    rows = [[2 + 0.1 * k, 0.1, 0.2, 3, 0.3, 4] for k in range(12)]
    data = read_table(csv(tmp_path / "t.csv", "a,b,c,d,e,f", rows), "spd")
    assert data.manifold == rm.SPD(3)
    assert data.points[0].tolist() == [[2, 0.1, 0.2], [0.1, 3, 0.3], [0.2, 0.3, 4]]
    np.testing.assert_array_equal(data.to_table(data.points), rows)


def test_the_metric_may_be_said(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "a,b,c", [[1 + 0.1 * k, 0.5, 1] for k in range(12)])
    assert read_table(path, "spd:log-euclidean").manifold == rm.SPD(2, metric="log-euclidean")


def test_an_array_of_matrices_is_read_and_given_back(tmp_path: Path) -> None:
    held = matrices(12, 3)
    np.save(tmp_path / "t.npy", held)
    data = read_table(tmp_path / "t.npy", "spd")
    np.testing.assert_allclose(data.points.numpy(), held, rtol=1e-15)
    assert data.columns[:4] == ("m1_1", "m1_2", "m1_3", "m2_1")
    np.testing.assert_allclose(data.to_table(data.points).reshape(-1, 3, 3), held, rtol=1e-15)
    again = read_table(tmp_path / "t.npy", data.coordinates.spec)
    assert torch.equal(again.points, data.points)


def test_all_entries_in_a_text_table_need_a_word(tmp_path: Path) -> None:
    held = matrices(12, 2)
    path = csv(tmp_path / "t.csv", "a,b,c,d", held.reshape(12, 4))
    np.testing.assert_allclose(read_table(path, "spd:matrix").points.numpy(), held, rtol=1e-15)
    text = error_of(path, "spd")
    assert "an upper triangle has 1, 3, 6, 10, 15, ... entries, row by row" in text
    assert "or, said by --manifold spd:matrix, all 4 entries, but these columns are 4: a, b, c, d" in text


def test_a_number_of_columns_that_is_no_triangle(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "a,b,c,d,e", RNG.normal(size=(12, 5)))
    assert "an upper triangle has 1, 3, 6, 10, 15, ... entries, row by row, but these columns are 5" in error_of(
        path, "spd"
    )
    assert "points of SPD(2) have 3 (triangle) columns, but these columns are 5" in error_of(path, "spd:2")


def test_a_matrix_that_is_not_positive_definite(tmp_path: Path) -> None:
    rows = [[2.0, 0.5, 1.0]] * 11 + [[1.0, 2.0, 1.0]]
    text = error_of(csv(tmp_path / "t.csv", "a,b,c", rows), "spd")
    assert text.endswith(
        "t.csv, line 13: the matrix is not positive definite: its smallest eigenvalue is -1; correct the row or "
        "remove it"
    )
    rows[11] = [1.0, 1.0, 1.0]
    text = error_of(csv(tmp_path / "t.csv", "a,b,c", rows), "spd")
    assert "line 13: the matrix is not positive definite" in text
    assert "zero beside its largest of 2" in text


def test_a_matrix_that_is_not_symmetric(tmp_path: Path) -> None:
    held = matrices(12, 2)
    held[4] = [[2, 0.5], [0.7, 3]]
    np.save(tmp_path / "t.npy", held)
    text = error_of(tmp_path / "t.npy", "spd")
    assert text.endswith(
        "t.npy, row 5: the matrix is not symmetric: entry (1, 2) is 0.5, entry (2, 1) is 0.7; correct the row or "
        "remove it"
    )
    held[2] = -np.eye(2)
    np.save(tmp_path / "t.npy", held)
    assert "row 3: the matrix is not positive definite: its smallest eigenvalue is -1" in error_of(
        tmp_path / "t.npy", "spd"
    )


@pytest.mark.parametrize(
    ("shape", "manifold", "text"),
    [
        ((12, 2, 3), "spd", "expected (rows, columns), or (rows, n, n) for matrices"),
        ((12, 2, 2), "torus", "holds matrices (rows, n, n), which are read as spd or so3, not as torus"),
        ((12, 2, 2), "so3", "points of SpecialOrthogonal(3) have 9 (matrix) columns, but these columns are 4"),
    ],
)
def test_an_array_of_another_shape(tmp_path: Path, shape: tuple[int, ...], manifold: str, text: str) -> None:
    np.save(tmp_path / "t.npy", RNG.normal(size=shape))
    assert text in error_of(tmp_path / "t.npy", manifold)


# ------------------------------------------------------------------------------------------------------- rotations

QUARTER = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("coordinates", "row"),
    [
        (Quaternions(rm.SpecialOrthogonal(3), tuple("wxyz")), [HALF, 0, 0, HALF]),
        (AxisAngles(rm.SpecialOrthogonal(3), tuple("xyz"), "degrees"), [0, 0, 90]),
        (AxisAngles(rm.SpecialOrthogonal(3), tuple("xyz"), "radians"), [0, 0, math.pi / 2]),
        (RotationMatrices(rm.SpecialOrthogonal(3), tuple("abcdefghi")), [0, -1, 0, 1, 0, 0, 0, 0, 1]),
    ],
)
def test_a_quarter_turn_about_z_in_every_form(coordinates: Coordinates, row: list[float]) -> None:
    points = coordinates.to_points([row])
    torch.testing.assert_close(points[0], QUARTER, atol=4e-16, rtol=0)
    np.testing.assert_allclose(coordinates.to_table(points), [row], atol=3e-14)
    assert coordinates.to_points(np.zeros((0, len(row)))).shape == (0, 3, 3)
    assert coordinates.to_table(torch.zeros(0, 3, 3)).shape == (0, len(row))


def test_every_form_comes_back() -> None:
    rotations = Rotation.random(200, rng=np.random.default_rng(0))
    M = rm.SpecialOrthogonal(3)
    quaternions = rotations.as_quat(canonical=True)[:, [3, 0, 1, 2]]
    points = Quaternions(M, tuple("wxyz")).to_points(quaternions)
    np.testing.assert_allclose(points.numpy(), rotations.as_matrix(), atol=1e-15)
    for form, rows in [
        (Quaternions(M, tuple("wxyz")), quaternions),
        (AxisAngles(M, tuple("xyz"), "radians"), rotations.as_rotvec()),
        (RotationMatrices(M, tuple("abcdefghi")), rotations.as_matrix().reshape(-1, 9)),
    ]:
        np.testing.assert_allclose(form.to_points(rows).numpy(), points.numpy(), atol=3e-15)
        np.testing.assert_allclose(form.to_table(points), rows, atol=1e-14)


def test_a_half_turn_comes_back_as_itself_or_its_opposite() -> None:
    half = AxisAngles(rm.SpecialOrthogonal(3), tuple("xyz"), "degrees")
    back = half.to_table(half.to_points([[0, 180, 0], [108, 0, -144]]))
    np.testing.assert_allclose(np.abs(back), [[0, 180, 0], [108, 0, 144]], atol=1e-12)


def test_the_number_of_columns_tells_the_form(tmp_path: Path) -> None:
    rotations = Rotation.random(12, rng=np.random.default_rng(1))
    kinds = {
        "quaternion": rotations.as_quat()[:, [3, 0, 1, 2]],
        "axis-angle": rotations.as_rotvec(),
        "rotation-matrix": rotations.as_matrix().reshape(12, 9),
    }
    for kind, rows in kinds.items():
        path = csv(tmp_path / "t.csv", ",".join(f"c{i}" for i in range(rows.shape[1])), rows)
        data = read_table(path, "so3")
        assert data.kind == kind
        np.testing.assert_allclose(data.points.numpy(), rotations.as_matrix(), atol=1e-14)
    np.save(tmp_path / "t.npy", rotations.as_matrix())
    assert read_table(tmp_path / "t.npy", "so3").kind == "rotation-matrix"


@pytest.mark.parametrize("header", ["time,tx,ty,tz,qx,qy,qz,qw", "x,y,z,t,qx,qy,qz,qw", "w1,w2,w3,w4,x,y,z,w"])
def test_quaternions_are_found_by_their_names_in_any_order(tmp_path: Path, header: str) -> None:
    rotations = Rotation.random(12, rng=np.random.default_rng(2))
    rows = np.concatenate([RNG.normal(size=(12, 4)), rotations.as_quat()], axis=1)
    data = read_table(csv(tmp_path / "t.csv", header, rows), "so3")
    assert data.columns[0].endswith("w")
    np.testing.assert_allclose(data.points.numpy(), rotations.as_matrix(), atol=1e-14)


def test_large_rotation_vectors_are_in_degrees(tmp_path: Path) -> None:
    vectors = Rotation.random(12, rng=np.random.default_rng(3)).as_rotvec()
    path = csv(tmp_path / "t.csv", "a,b,c", np.degrees(vectors))
    assert read_table(path, "so3").unit == "degrees"
    text = error_of(path, "so3", unit="radians")
    assert "degrees? Then say unit='degrees'" in text
    path = csv(tmp_path / "t.csv", "a,b,c", vectors)
    assert read_table(path, "so3").unit == "radians"
    assert read_table(path, "so3:axis-angle:degrees").unit == "degrees"


@pytest.mark.parametrize(
    ("header", "row", "text"),
    [
        ("w,x,y,z", [0, 0, 0, 0], "the quaternion has length 0, which is no rotation; correct the row or remove it"),
        ("w,x,y,z", [1, 1, 0, 0], "the quaternion's length is 1.4142136, not 1; are these the columns w, x, y, z?"),
        (
            "a,b,c,d,e,f,g,h,i",
            [1, 0, 0, 0, 1, 0, 0, 0, -1],
            "the matrix has determinant -1, a reflection and no rotation",
        ),
        (
            "a,b,c,d,e,f,g,h,i",
            [1, 0, 0, 0, 1, 0, 0, 0.5, 1],
            "the matrix is no rotation: its columns are off orthonormal by 0.5",
        ),
        ("a,b,c,d,e,f,g,h,i", [1e200] * 9, "the matrix is no rotation: its columns are off orthonormal by inf"),
    ],
)
def test_a_row_that_is_no_rotation(tmp_path: Path, header: str, row: list[float], text: str) -> None:
    rotations = Rotation.random(11, rng=np.random.default_rng(4))
    good = rotations.as_quat()[:, [3, 0, 1, 2]] if len(row) == 4 else rotations.as_matrix().reshape(11, 9)
    found = error_of(csv(tmp_path / "t.csv", header, [*good.tolist(), row]), "so3")
    assert f"t.csv, line 13: {text}" in found


def test_matrices_of_few_digits_become_rotations() -> None:
    rounded = Rotation.random(50, rng=np.random.default_rng(5)).as_matrix().round(5).reshape(-1, 9)
    points = RotationMatrices(rm.SpecialOrthogonal(3), tuple("abcdefghi")).to_points(rounded)
    assert rm.SpecialOrthogonal(3).check_point(points) is None
    assert float((points.reshape(-1, 9) - torch.from_numpy(rounded)).abs().max()) < 2e-5


def test_a_triangle_of_float32_points() -> None:
    coordinates = UpperTriangles(rm.SPD(2), ("a", "b", "c"))
    assert coordinates.to_table(torch.tensor([[[2.0, 0.5], [0.5, 1.0]]])).tolist() == [[2.0, 0.5, 1.0]]
