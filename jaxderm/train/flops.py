"""Model FLOPs of a traced function: its convolutions and matrix products, each counted once a call."""

import collections
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count(function: Callable, *arguments: Any) -> float:
    """FLOPs (a multiply and an add are two) of one call with such arguments; nothing is run."""
    equations = products(jax.make_jaxpr(function)(*arguments).jaxpr)
    return float(sum(of_equation(equation) for equation in equations))


def products(jaxpr: Any) -> Iterator[Any]:
    """Equations that are convolutions or matrix products, those of inner functions too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            yield equation
        repeats = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    for _ in range(repeats):
                        yield from products(inner)


def of_equation(equation: Any) -> int:
    """FLOPs of one convolution or matrix product."""
    left, right = (v.aval.shape for v in equation.invars[:2])
    out = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * out * math.prod(left[axis] for axis in contracted)
    # rhs_spec is (output features, input features, *window): each result sums over the last ones.
    spec = equation.params["dimension_numbers"].rhs_spec
    return 2 * out * math.prod(right[axis] for axis in spec[1:])


def distinct(jaxpr: Any, name: str) -> list[tuple[Any, int]]:
    """(equation, how often) of every distinct product of one primitive, by shapes and parameters."""
    seen, times = {}, collections.Counter()
    for equation in products(jaxpr):
        if equation.primitive.name == name:
            shapes = tuple((v.aval.shape, str(v.aval.dtype)) for v in equation.invars)
            key = (shapes, str(sorted((k, str(v)) for k, v in equation.params.items())))
            seen.setdefault(key, equation)
            times[key] += 1
    return [(seen[key], times[key]) for key in seen]
