"""A plain integrator of the flow: DOP853 of SciPy between events, least norm by SciPy after each.

For inputs in general position, no two of them collinear, and few neurons.
"""

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq, lsq_linear

CROSSED = -1e-12
AHEAD = 1e-7
GRID = np.linspace(0, 1, 33)[1:]


class Reference:
    """Weights (a, w) as one vector, modes as an array, and events as they come."""

    def __init__(self, x, y, w, a):
        self.x, self.y = x, y
        self.n, self.m = len(y), len(a)
        self.z = np.concatenate([a[:, None], w], axis=1)
        self.t = 0.0
        self.modes = np.where(w @ x.T > 0, 1, 0)
        self.events = []

    def unpack(self, z):
        """a, w and the residual."""
        a, w = z.reshape(self.m, -1)[:, 0], z.reshape(self.m, -1)[:, 1:]
        return a, w, self.y - a @ ((self.modes == 1) * (w @ self.x.T))

    def forces(self, r):
        """n D_j, and b_jk = α_jk r_k of the sliding pairs."""
        force, b = ((self.modes == 1) * r) @ self.x, np.zeros(self.modes.shape)
        for j in np.flatnonzero((self.modes == 2).any(axis=1)):
            on = self.modes[j] == 2
            b[j, on] = -np.linalg.lstsq(self.x[on].T, force[j], rcond=None)[0]
            force[j] = force[j] + b[j] @ self.x
        return force, b

    def field(self, _, z):
        """Right-hand side while all modes last."""
        a, w, r = self.unpack(z)
        force = self.forces(r)[0] / self.n
        slopes = [np.sum(w * force, axis=1)[:, None], a[:, None] * force]
        return np.concatenate(slopes, axis=1).reshape(-1)

    def margins(self, z):
        """Numbers that are positive while all modes last, (m, n, 2)."""
        _, w, r = self.unpack(z)
        force, b = self.forces(r)
        sliding, u = self.modes == 2, w @ self.x.T
        low = np.where(sliding, np.sign(r) * b, np.where(self.modes == 1, u, -u))
        high = np.where(sliding, np.abs(r) - low, 1.0)
        still = ~sliding & (np.abs(force).max(axis=1) == 0)[:, None]
        return np.stack([np.where(still, 1.0, low), high], axis=-1)

    def step_to(self, start, z, end, rtol):
        """The state at `end` after one short integration."""
        solver = DOP853(self.field, start, z, end, rtol=rtol, atol=1e-3 * rtol)
        while solver.status == "running":
            solver.step()
        return solver.y

    def located(self, start, z, dense, bracket, pair, rtol):
        """Time and state where a margin is zero, by secant steps of the integrator itself."""
        low, high = bracket
        if self.margins(dense(low))[pair] <= 0:
            return low, dense(low)
        end = brentq(lambda t: self.margins(dense(t))[pair], low, high, xtol=1e-15, rtol=1e-15)
        span, state = high - low, z
        for _ in range(4):
            state = self.step_to(start, z, end, rtol)
            slope = self.margins(state + 1e-7 * span * self.field(end, state))[pair]
            slope = (slope - self.margins(state)[pair]) / (1e-7 * span)
            end = end - self.margins(state)[pair] / slope
        return end, self.step_to(start, z, end, rtol)

    def first_event(self, solver):
        """The earliest pair whose margin crosses zero in the last step, with a bracket of it."""
        dense, last = solver.dense_output(), solver.t_old
        before = self.margins(dense(last))
        for share in GRID:
            now = solver.t_old + share * (solver.t - solver.t_old)
            after = self.margins(dense(now))
            for pair in zip(*np.nonzero((after < CROSSED) & (before >= CROSSED)), strict=True):
                yield (last, now), pair
            last, before = now, after

    def advance(self, end, rtol):
        """Integrate to the time `end` or to the next event."""
        solver = DOP853(self.field, self.t, self.z.reshape(-1), end, rtol=rtol, atol=1e-3 * rtol)
        while solver.status == "running":
            start, z = solver.t, solver.y.copy()
            solver.step()
            dense, found = solver.dense_output(), []
            for bracket, pair in self.first_event(solver):
                found.append((*self.located(start, z, dense, bracket, pair, rtol), pair))
            if found:
                self.t, state, pair = min(found, key=lambda item: item[0])
                self.z = state.reshape(self.m, -1)
                return self.settle(*pair)
        self.t, self.z = end, solver.y.reshape(self.m, -1)
        return None

    def settle(self, j, k, _):
        """Modes of neuron j after the event of datum k, from residuals a moment ahead."""
        z = self.z.reshape(-1)
        a, _, r = self.unpack(z + AHEAD * self.field(self.t, z))
        old, modes = self.modes[j].copy(), self.modes[j].copy()
        pulled = a[j] * r < 0
        box = (old == 2) & pulled
        if pulled[k]:
            box[k] = True
        elif old[k] == 2:
            modes[k] = 0 if self.forces(self.unpack(z)[2])[1][j, k] / r[k] > 0.5 else 1
        else:
            modes[k] = 1 - old[k]
        if box.any():
            acting = (np.where(box, 0, modes == 1) * r) @ self.x
            jumps = (self.x[box] * r[box][:, None]).T
            alpha = lsq_linear(jumps, -acting, bounds=(0, 1), method="bvls", tol=1e-15).x
            inside = (alpha > 1e-9) & (alpha < 1 - 1e-9)
            modes[box] = np.where(inside, 2, np.round(alpha).astype(int))
        self.modes[j] = modes
        self.events.append((self.t, int(j), int(k)))
        on = modes == 2
        if on.any():
            self.z[j, 1:] -= np.linalg.pinv(self.x[on]) @ (self.x[on] @ self.z[j, 1:])


def reference(x, y, w, a, ts, rtol=1e-13):
    """a (T, m), w (T, m, d), modes (T, m, n) at the times `ts`, and the events."""
    run, saved = Reference(x, y, w, a), []
    for t in ts:
        while run.t < t:
            run.advance(t, rtol)
        saved.append((run.z[:, 0].copy(), run.z[:, 1:].copy(), run.modes.copy()))
    return *map(np.stack, zip(*saved, strict=True)), run.events
