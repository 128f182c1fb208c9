"""Curvature pairs of L-BFGS, and the inverse Hessian that they define."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..interfaces.optimizer import OptimizerState


class CurvaturePairs:
    """Last steps s of a minimisation, and the change y of the gradient along each.

    They define an inverse Hessian: with S and Y the pairs as columns, the oldest first, R the upper
    triangle of S^T Y, D its diagonal, and H_0 the inverse Hessian without pairs,

        H = (I - S R^-T Y^T) H_0 (I - Y R^-1 S^T) + S R^-T D R^-1 S^T

    (Byrd, Nocedal and Schnabel 1994, "Representations of quasi-Newton matrices and their use in
    limited memory methods", section 2). The two-loop recursion (Nocedal and Wright, algorithm 7.4)
    computes the same, in forty dot products instead of four matrix-vector products; a GPU would be
    idle between those, since each takes less time than its launch from Python.
    """

    def __init__(self, most: int, like: Tensor) -> None:
        """Allocate memory for up to `most` pairs of images of the shape of `like`."""
        self._steps, self._changes = (like.new_empty(most, like.numel()) for _ in range(2))
        self._products = torch.zeros(most, most, dtype=torch.float64)  # s_i . y_j
        self._slots: list[int] = []  # the oldest pair's row first

    def __len__(self) -> int:
        return len(self._slots)

    def clear(self) -> None:
        """Remove all pairs."""
        self._slots.clear()

    def state(self) -> OptimizerState:
        """Return the pairs, to restore them from."""
        tensors = {"steps": self._rows(self._steps), "changes": self._rows(self._changes)}
        return OptimizerState(tensors | {"products": self._products}, {"slots": [*self._slots]})

    def restore(self, state: OptimizerState) -> None:
        """Restore the pairs of a `state`, which had as much memory."""
        self._slots = [*state.values["slots"]]
        self._rows(self._steps).copy_(state.tensors["steps"])
        self._rows(self._changes).copy_(state.tensors["changes"])
        self._products.copy_(state.tensors["products"])

    def add(self, step: Tensor, gradient_change: Tensor) -> None:
        """Add the pair of s = `step` and y = `gradient_change`; s . y must be above 0.

        It replaces the oldest pair if all rows are used.
        """
        full = len(self) == len(self._steps)
        slot = self._slots.pop(0) if full else len(self)
        self._slots.append(slot)
        self._steps[slot], self._changes[slot] = step.flatten(), gradient_change.flatten()
        products = self._rows(self._steps) @ gradient_change.flatten()
        self._products[: len(self), slot] = _on_host(products)

    def inverse_hessian_times(
        self, gradient: Tensor, initial: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return H g for a gradient g, where `initial` computes H_0 times an image.

        Without pairs this is H_0 g.
        """
        if not self._slots:
            return initial(gradient)
        order = torch.tensor(self._slots)
        r = self._products[order][:, order]  # entries below the diagonal are not used
        steps, changes = self._rows(self._steps), self._rows(self._changes)

        # u = R^-1 S^T g, v = H_0 (g - Y u), w = R^-T (D u - Y^T v); the product is v + S w
        s_g = _on_host(steps @ gradient.flatten())[order]
        u = torch.linalg.solve_triangular(r, s_g.unsqueeze(1), upper=True).squeeze(1)
        reduced = torch.addmv(gradient.flatten(), changes.mT, self._in_rows(u, order), alpha=-1)
        v = initial(reduced.view_as(gradient))
        d_u_minus_y_v = r.diagonal() * u - _on_host(changes @ v.flatten())[order]
        w = torch.linalg.solve_triangular(r.mT, d_u_minus_y_v.unsqueeze(1), upper=False).squeeze(1)
        product = torch.addmv(v.flatten(), steps.mT, self._in_rows(w, order))
        return product.view_as(gradient)

    def _rows(self, matrix: Tensor) -> Tensor:
        return matrix[: len(self)]

    def _in_rows(self, values: Tensor, order: Tensor) -> Tensor:
        """Return values in the pairs' order as values in that of the rows, on the rows' device."""
        return torch.empty_like(values).scatter_(0, order, values).to(self._steps)


def _on_host(vector: Tensor) -> Tensor:
    """Return a short vector on the host, in float64."""
    return vector.cpu().double()
