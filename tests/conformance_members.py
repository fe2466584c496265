"""One list for each kind: every public class of rmatch has an instance in the list of its kind."""

import torch
from torch import Tensor

import rmatch as rm
from rmatch import fields

PRODUCTS = [
    rm.Product(rm.Sphere(2), rm.Torus(1)),
    rm.Product(rm.Euclidean(2), rm.Sphere(1)),
    rm.Product(rm.SPD(2), rm.SpecialOrthogonal(3)),
]


def equidistant(x: Tensor) -> Tensor:
    """A hyperbolic plane of curvature -1/4, in the distance to a geodesic and the position along it."""
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), (x[..., 0] / 2).cosh().square()], -1))


MANIFOLDS: list[rm.Manifold] = [
    rm.ChartManifold(2, equidistant),
    rm.Euclidean(1),
    rm.Euclidean(3),
    rm.Lorentz(1),
    rm.Lorentz(2),
    rm.Lorentz(3, curvature=-0.25),
    rm.PoincareBall(1),
    rm.PoincareBall(2),
    rm.PoincareBall(3, curvature=-4.0),
    rm.Sphere(1),
    rm.Sphere(2),
    rm.Sphere(15),
    rm.Sphere(2, radius=3.0),
    rm.SpecialOrthogonal(3),
    rm.Torus(1),
    rm.Torus(2),
    rm.Torus(7),
    *PRODUCTS,
    rm.SPD(1),
    rm.SPD(2),
    rm.SPD(3),
    rm.SPD(2, metric="log-euclidean"),
    rm.SPD(3, metric="log-euclidean"),
    rm.Torus(2, periods=(1.0, 24.0)),
]
DISTRIBUTIONS: list[rm.Distribution] = [
    rm.Uniform(rm.Sphere(2)),
    rm.Uniform(rm.Torus(3)),
    rm.Uniform(rm.SpecialOrthogonal(3)),
    rm.WrappedNormal(rm.Sphere(2), torch.tensor([0.0, 0.6, 0.8]), 0.5),
    rm.WrappedNormal(rm.Sphere(2, radius=3.0), torch.tensor([0.0, 1.8, 2.4]), 1.5),
    rm.WrappedNormal(rm.SpecialOrthogonal(3), torch.eye(3).roll(1, 0), 0.5),
    rm.WrappedNormal(rm.Torus(2), torch.tensor([0.1, 6.2]), 0.7),
    rm.WrappedNormal(rm.Euclidean(3), torch.tensor([1.0, 0.0, -2.0]), 2.0),
    rm.WrappedNormal(rm.SPD(2), torch.tensor([[2.0, 0.5], [0.5, 1.0]]), 0.5),
    rm.WrappedNormal(rm.SPD(2, metric="log-euclidean"), torch.tensor([[2.0, 0.5], [0.5, 1.0]]), 0.5),
    rm.WrappedNormal(rm.Lorentz(2), torch.tensor([1.25, 0.0, 0.75]), 0.8),
    rm.WrappedNormal(rm.PoincareBall(3), torch.tensor([0.1, 0.3, -0.2]), 0.8),
    rm.KernelDensity(rm.Sphere(2), torch.eye(3), 0.4),
    rm.KernelDensity(rm.Torus(2), torch.tensor([[0.1, 6.2], [3.0, 3.0]]), 0.4),
    rm.KernelDensity(rm.SpecialOrthogonal(3), torch.eye(3).expand(2, 3, 3), 0.4),
    rm.KernelDensity(rm.Lorentz(2), torch.tensor([[1.25, 0.0, 0.75], [1.0, 0.0, 0.0]]), 0.4),
    rm.KernelDensity(rm.PoincareBall(2), torch.tensor([[0.1, 0.3], [0.0, 0.0]]), 0.4),
    rm.KernelDensity(rm.SPD(2), torch.tensor([[[2.0, 0.5], [0.5, 1.0]]]), 0.4),
    rm.Uniform(PRODUCTS[0]),
    *(rm.WrappedNormal(product, product.origin(), torch.tensor([0.3, 0.6])) for product in PRODUCTS),
    *(rm.KernelDensity(product, product.origin().unsqueeze(0), (0.3, 0.6)) for product in PRODUCTS),
    rm.HeatKernel(rm.Sphere(1), torch.tensor([0.6, 0.8]), 0.5),
    rm.HeatKernel(rm.Sphere(2), torch.tensor([0.0, 0.6, 0.8]), 0.5),
    rm.HeatKernel(rm.Torus(2), torch.tensor([0.1, 6.2]), 0.5),
    rm.HeatKernel(rm.Euclidean(3), torch.tensor([1.0, 0.0, -2.0]), 4.0),
    rm.HeatKernel(rm.SpecialOrthogonal(3), torch.eye(3), 0.5),
    rm.HeatKernel(rm.PoincareBall(2), torch.tensor([0.1, 0.3]), 0.5),
    rm.HeatKernel(rm.Lorentz(3), torch.tensor([1.25, 0.0, 0.75, 0.0]), 0.5),
    rm.HeatKernel(rm.Product(rm.Sphere(2), rm.Torus(1)), torch.tensor([0.0, 0.6, 0.8, 6.2]), 0.5),
    rm.VonMisesFisher(rm.Sphere(3), torch.tensor([0.0, 0.6, 0.8, 0.0]), 5.0),
    rm.VonMisesFisher(rm.Torus(2), torch.tensor([0.1, 6.2]), 5.0),
    rm.Mixture([rm.Uniform(rm.Sphere(2)), rm.VonMisesFisher(rm.Sphere(2), torch.eye(3)[0], 5.0)], [1.0, 2.0]),
]
FIELDS: list[torch.nn.Module] = [
    rm.TangentMLP(rm.Sphere(2), width=16, depth=2),
    rm.TangentMLP(rm.Torus(2), width=16, depth=2),
    rm.TangentMLP(rm.SpecialOrthogonal(3), width=16, depth=2),
    rm.TangentMLP(rm.Euclidean(3), width=16, depth=2),
    *(rm.TangentMLP(product, width=16, depth=2) for product in PRODUCTS),
    rm.TangentMLP(rm.SPD(2), width=16, depth=2),
    rm.TangentMLP(rm.SPD(3, metric="log-euclidean"), width=16, depth=2),
    rm.TangentMLP(rm.Lorentz(2), width=16, depth=2),
    rm.TangentMLP(rm.PoincareBall(2), width=16, depth=2),
    rm.ScoreModel(rm.TangentMLP(rm.Sphere(2), width=16, depth=2), rm.Diffusion(rm.Sphere(2))),
    rm.ProbabilityFlow(rm.TangentMLP(rm.Torus(2), width=16, depth=2), rm.Diffusion(rm.Torus(2))),
]
FEATURES: list[torch.nn.Module] = [
    fields.FourierFeatures(3, (1.0, 4.0), count=4, generator=torch.Generator().manual_seed(0)),
    fields.Harmonics(3, count=2),
    fields.TimeFeatures(),
]
SOLVERS: list[rm.Solver] = [rm.Euler(8), rm.Midpoint(8), rm.RK4(8), rm.DormandPrince()]
SCHEDULES: list[rm.Schedule] = [rm.Linear(), rm.Cosine(), rm.Polynomial(2.0)]
PATHS: list[rm.ConditionalPath] = [
    rm.GeodesicPath(manifold, schedule)
    for manifold in (
        rm.Sphere(2),
        rm.Torus(2),
        rm.Euclidean(3),
        rm.SPD(2),
        rm.SPD(3, metric="log-euclidean"),
        rm.SpecialOrthogonal(3),
        rm.Lorentz(2),
        rm.PoincareBall(2),
        rm.Product(rm.Sphere(2), rm.Torus(1)),
    )
    for schedule in SCHEDULES
]
PATHS.append(rm.StochasticInterpolant(rm.Sphere(2), 0.3, floor=1e-4))
PATHS += [
    rm.PremetricPath(rm.GeodesicDistance(rm.Lorentz(2)), rm.Cosine()),
    rm.PremetricPath(rm.BiharmonicDistance(rm.Sphere(2))),
    rm.PremetricPath(rm.DiffusionDistance(rm.Torus(2), 0.25), solver=rm.RK4(20)),
]
PATHS += [
    rm.DiffusionBridge(manifold, 0.3, floor=1e-4, steps=4)
    for manifold in (rm.Sphere(2), rm.Torus(2), rm.Lorentz(2), rm.SpecialOrthogonal(3), PRODUCTS[0], PRODUCTS[1])
]
PREMETRICS: list[rm.Premetric] = [
    rm.GeodesicDistance(rm.Sphere(2)),
    rm.GeodesicDistance(rm.Lorentz(2)),
    rm.BiharmonicDistance(rm.Sphere(1)),
    rm.BiharmonicDistance(rm.Sphere(2, radius=3.0)),
    rm.BiharmonicDistance(rm.Sphere(3)),
    rm.BiharmonicDistance(rm.Torus(1)),
    rm.BiharmonicDistance(rm.Torus(2, periods=(1.0, 3.0))),
    rm.BiharmonicDistance(rm.Torus(3)),
    rm.DiffusionDistance(rm.Sphere(2), 0.25),
    rm.DiffusionDistance(rm.Torus(7), 0.25),
    rm.SpectralDistance(rm.Sphere(15), torch.reciprocal, degree=4),
    rm.SpectralDistance(rm.Torus(2), torch.reciprocal, degree=4),
]
PROBABILITY_PATHS: list[rm.ProbabilityPath] = [
    rm.FlowPath(fields.TangentMLP(rm.Sphere(2), width=16, depth=2), rm.Uniform(rm.Sphere(2)), rm.RK4(8)),
    rm.HeatPath(rm.Sphere(2), torch.eye(3), [1.0, 2.0, 3.0], start=0.05, end=0.5),
    rm.EmpiricalPath(rm.StochasticInterpolant(rm.Sphere(2), 0.3, floor=0.2), torch.eye(3), torch.eye(3).roll(1, 0)),
    rm.EmpiricalPath(rm.DiffusionBridge(rm.Torus(1), 0.3, floor=0.2), torch.eye(2)[:, :1], torch.ones(2, 1)),
    rm.HeatPath(rm.Torus(2), torch.tensor([[0.1, 6.2], [3.0, 3.0]]), start=0.5, end=0.05, schedule=rm.Cosine()),
]
COUPLINGS: list[rm.Coupling] = [rm.Independent(), rm.OptimalTransport(rm.Sphere(2))]

KINDS: dict[type, list[object]] = {
    rm.Manifold: [*MANIFOLDS],
    rm.Distribution: [*DISTRIBUTIONS],
    rm.Solver: [*SOLVERS],
    rm.Schedule: [*SCHEDULES],
    rm.ConditionalPath: [*PATHS],
    rm.ProbabilityPath: [*PROBABILITY_PATHS],
    rm.Coupling: [*COUPLINGS],
    rm.Premetric: [*PREMETRICS],
    torch.nn.Module: [*FIELDS, *FEATURES],
}
