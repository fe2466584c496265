"""Riemannian geometry for generative modelling: manifolds, flows on them, and the laws that tie both together."""

from __future__ import annotations

__version__ = "0.1.0"
