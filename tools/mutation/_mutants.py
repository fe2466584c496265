"""The mutants of a source file: one error each, made by the operators of cosmic-ray.

Operators that swap every operator for every other are left out where the result only fails to run (`x << y` for
`x + y` on floats): such mutants die at once and would flatter the share.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, NamedTuple

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.plugins import get_operator

_BINARY = [
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "FloorDiv_Mul", "Mod_FloorDiv"),
    *("BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitAnd"),
]
_COMPARISONS = [
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
]
OPERATORS = [
    *(f"ReplaceBinaryOperator_{pair}" for pair in _BINARY),
    *(f"ReplaceComparisonOperator_{pair}" for pair in _COMPARISONS),
    *("NumberReplacer", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse"),
    *("ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Invert_UAdd"),
    *("RemoveDecorator", "ExceptionReplacer"),
]
# What these decorators do is seen by type checkers and by subclasses that forget a method, not by what is computed.
_DECORATORS_OF_TYPES = {"abstractmethod", "overload", "final", "override"}


class Place(NamedTuple):
    """Where a source file can be mutated."""

    path: str  # of the file, from the root of the tree
    operator: str
    number: int  # which of the operator's places in the file, counted from 0


class Mutant(NamedTuple):
    """A source file with one error."""

    place: Place
    line: int
    scope: str  # the function or class that the error is in
    before: str  # the line, without its indentation
    after: str
    code: str


def places_of(path: str) -> list[Place]:
    """All the places of a file, those in texts and annotations too."""
    tree = parso.parse(Path(path).read_text("utf-8"))
    return [Place(path, name, number) for name in OPERATORS for number in range(len(_positions(tree, name)))]


def mutant_at(place: Place) -> Mutant | None:
    """The mutant, or None where it computes what the file computes."""
    code = Path(place.path).read_text("utf-8")
    tree = parso.parse(code)
    node, index = _positions(tree, place.operator)[place.number]
    line, parent = node.start_pos[0], node.parent
    mutated = _operator(place.operator).mutate(node, index)
    if mutated is not node:
        siblings = [mutated if child is node else child for child in parent.children]
        parent.children = [child for child in siblings if child is not None]
    changed = tree.get_code()
    if _meaning(changed) == _meaning(code):
        return None
    old, new = code.splitlines(), changed.splitlines()
    after = "(removed)"
    if len(new) == len(old):
        line = next(number for number, (a, b) in enumerate(zip(old, new, strict=True), 1) if a != b)
        after = new[line - 1].strip()
    return Mutant(place, line, _scope(code, line), old[line - 1].strip(), after, changed)


def _operator(name: str) -> Any:
    return get_operator(f"core/{name}")()


def _positions(tree: Any, name: str) -> list[tuple[Any, int]]:
    """The nodes that an operator mutates, each with the index of the mutation in the node."""
    operator = _operator(name)
    found = [(node, i) for node in ast_nodes(tree) for i, _ in enumerate(operator.mutation_positions(node))]
    return [(node, i) for node, i in found if name != "AddNot" or not _has_its_own_opposite(node)]


def _has_its_own_opposite(node: Any) -> bool:
    """Whether another operator turns the condition around: `a < b` and `not a`."""
    condition = node.children[2 if node.type == "test" else 1]
    return condition.type in ("comparison", "not_test")


def _meaning(code: str) -> str:
    """The syntax tree without annotations, docstrings, texts and what is only for types."""
    return ast.dump(_Meaning().visit(ast.parse(code)))


class _Meaning(ast.NodeTransformer):
    """Take out of a tree what does not change what is computed."""

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        """Which arguments may be given by position, only or also, is all the same."""
        self.generic_visit(node)
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *(default for default in node.kw_defaults if default is not None)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        del node
        return ast.Constant("")

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args = []
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if "overload" in map(_last_name, node.decorator_list):
            return ast.Pass()
        node.returns = None
        node.decorator_list = [one for one in node.decorator_list if _last_name(one) not in _DECORATORS_OF_TYPES]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [one for one in node.decorator_list if _last_name(one) not in _DECORATORS_OF_TYPES]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _scope(code: str, line: int) -> str:
    """The dotted name of the innermost function or class around a line."""
    names: list[str] = []
    body: list[ast.stmt] = ast.parse(code).body
    while True:
        inside = [
            node
            for statement in body
            for node in ast.walk(statement)
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and min([node.lineno, *(one.lineno for one in node.decorator_list)]) <= line <= (node.end_lineno or 0)
        ]
        if not inside:
            return ".".join(names)
        outer = min(inside, key=lambda node: node.lineno)
        names.append(outer.name)
        body = outer.body
