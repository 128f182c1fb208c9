"""The curvature pairs of L-BFGS, and the inverse Hessian that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class CurvaturePairs:
    """The last steps s of a minimisation, and the change y of the gradient along each.

    They stand for an inverse Hessian: with S and Y the pairs as columns, the oldest first, R the
    upper triangle of S^T Y, D its diagonal, and H_0 what one would take without them,

        H = (I - S R^-T Y^T) H_0 (I - Y R^-1 S^T) + S R^-T D R^-1 S^T

    (Byrd, Nocedal and Schnabel 1994, "Representations of quasi-Newton matrices and their use in
    limited memory methods", section 2). That is what the two-loop recursion (Nocedal and Wright,
    algorithm 7.4) computes, in four matrix-vector products instead of forty dot products, which are
    so short that a GPU would wait for Python between them.
    """

    def __init__(self, most: int, like: Tensor) -> None:
        """For up to `most` pairs of images of the shape of `like`."""
        self._steps, self._changes = (like.new_empty(most, like.numel()) for _ in range(2))
        self._products = torch.zeros(most, most, dtype=torch.float64)  # s_i . y_j
        self._slots: list[int] = []  # the oldest pair's row first

    def __len__(self) -> int:
        return len(self._slots)

    def clear(self) -> None:
        """Remove all pairs."""
        self._slots.clear()

    def add(self, moved: Tensor, change: Tensor) -> None:
        """A further pair; s . y must be above 0. When there are too many the oldest one goes."""
        full = len(self) == len(self._steps)
        slot = self._slots.pop(0) if full else len(self)
        self._slots.append(slot)
        self._steps[slot], self._changes[slot] = moved.flatten(), change.flatten()
        self._products[: len(self), slot] = _small(self._rows(self._steps) @ change.flatten())

    def inverse_hessian_times(self, gradient: Tensor, first: Callable[[Tensor], Tensor]) -> Tensor:
        """H g for a gradient g, where `first` computes H_0 times an image. Without a pair this
        is H_0 g."""
        if not self._slots:
            return first(gradient)
        order = torch.tensor(self._slots)
        upper = self._products[order][:, order]  # what is below the diagonal is not looked at
        steps, changes = self._rows(self._steps), self._rows(self._changes)

        along = _small(steps @ gradient.flatten())[order]
        back = torch.linalg.solve_triangular(upper, along.unsqueeze(1), upper=True).squeeze(1)
        rest = torch.addmv(gradient.flatten(), changes.mT, self._large(back, order), alpha=-1)
        guess = first(rest.view_as(gradient))
        off = upper.diagonal() * back - _small(changes @ guess.flatten())[order]
        forth = torch.linalg.solve_triangular(upper.mT, off.unsqueeze(1), upper=False).squeeze(1)
        product = torch.addmv(guess.flatten(), steps.mT, self._large(forth, order))
        return product.view_as(gradient)

    def _rows(self, matrix: Tensor) -> Tensor:
        return matrix[: len(self)]

    def _large(self, values: Tensor, order: Tensor) -> Tensor:
        """From the pairs' order to that of the rows, ready to be multiplied with them."""
        return torch.empty_like(values).scatter_(0, order, values).to(self._steps)


def _small(vector: Tensor) -> Tensor:
    """On the host in float64, where the few numbers of the pairs are computed with."""
    return vector.cpu().double()
