"""The flow with given activations, in NumPy, for the tools that integrate a Python function.

State: a (m,) and p (m, q) one after the other. With the mask α in {0, 1}, shape (m, n), and
v = α ⟨p_j, row_k⟩ the flow is da_j/dt = Σ_k v_jk r_k / n, dp_j/dt = a_j Σ_k α_jk r_k row_k / n.
"""

import time

import numpy as np

from comparison.problems import Problem


class NotFinished(Exception):
    """A tool did not come to the end; its argument is the time t that it reached."""


class MaskedFlow:
    """Right-hand side, margins and outputs for a mask that is changed from outside."""

    def __init__(self, problem: Problem, limit: float):
        self.problem, self.rows, self.y = problem, problem.rows, problem.y
        self.width, self.n = problem.a.size, problem.y.size
        self.state = np.concatenate([problem.a, problem.p.ravel()])
        self.mask = self.preactivations(self.state) > 0
        self.active = self.mask.astype(float)
        self.deadline = time.perf_counter() + limit

    def split(self, state):
        """Output weights and coordinates of hidden weights."""
        return state[: self.width], state[self.width :].reshape(self.width, -1)

    def preactivations(self, state):
        """u_jk = ⟨w_j, x_k⟩, shape (m, n)."""
        return self.split(state)[1] @ self.rows.T

    def field(self, t, state):
        """Right-hand side of the flow with the mask as it is."""
        if time.perf_counter() > self.deadline:
            raise NotFinished(t)
        a, p = self.split(state)
        v = self.active * (p @ self.rows.T)
        r = (self.y - a @ v) / self.n
        return np.concatenate([v @ r, (a[:, None] * ((self.active * r) @ self.rows)).ravel()])

    def outputs(self, state):
        """h(x_k) with the mask as it is."""
        return self.split(state)[0] @ (self.active * self.preactivations(state))

    def margins(self, state):
        """Positive while a pair keeps its mode; inactive pairs of orthogonal inputs always do."""
        u = self.preactivations(state)
        other = np.inf if self.problem.orthogonal else -u
        return np.where(self.mask, u, other)

    def switch(self, state, pairs):
        """State after pairs, a boolean array (m, n), changed mode: dead ones are exactly zero."""
        self.mask = self.mask ^ pairs
        self.active = self.mask.astype(float)
        if not self.problem.orthogonal:
            return state
        a, p = self.split(state)
        return np.concatenate([a, np.where(pairs, 0, p).ravel()])
