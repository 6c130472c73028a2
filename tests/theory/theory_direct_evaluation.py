"""The early phase of one neuron, evaluated directly in high precision."""

import numpy as np
from mpmath import mp, mpf


def exact(values):
    return [mpf(float(v)) for v in np.asarray(values)]


class DirectNeuron:
    """One neuron under r = y: hyperbolic rotations, each death a root found numerically."""

    def __init__(self, network, dataset, j, digits=60):
        mp.dps = digits
        self.x = [exact(row) for row in dataset.x]
        self.y, self.n = exact(dataset.y), dataset.n
        self.w, self.a = exact(network.w_mantissa[j]), mpf(float(network.a_mantissa[j]))
        self.time, self.deaths = mpf(0), {}
        self.active = {k for k in range(self.n) if self.dot(self.w, self.x[k]) > 0}
        self.direction()

    @staticmethod
    def dot(u, v):
        return mp.fsum(p * q for p, q in zip(u, v, strict=True))

    def direction(self):
        force = [mp.fsum(self.y[k] * self.x[k][i] for k in self.active) / self.n
                 for i in range(len(self.w))]  # fmt: skip
        self.rate = mp.sqrt(self.dot(force, force))
        self.e = [f / self.rate for f in force] if self.rate else force
        self.p = self.dot(self.w, self.e)

    def moved(self, span):
        ch, sh = mp.cosh(self.rate * span), mp.sinh(self.rate * span)
        gain = self.p * ch + self.a * sh - self.p
        w = [wi + gain * ei for wi, ei in zip(self.w, self.e, strict=True)]
        return w, self.a * ch + self.p * sh

    def run(self, until):
        """Advance through all deaths up to the time `until`."""
        while True:
            rivals = [k for k in self.active if self.y[k] * self.a < 0]
            spans = {k: self.death(k, until - self.time) for k in rivals}
            spans = {k: span for k, span in spans.items() if span is not None}
            if not spans:
                self.w, self.a = self.moved(until - self.time)
                self.time = until
                return
            first = min(spans, key=spans.get)
            self.w, self.a = self.moved(spans[first])
            self.time += spans[first]
            self.deaths[first] = self.time
            self.active.discard(first)
            self.direction()

    def death(self, k, horizon):
        def preactivation(span):
            return self.dot(self.moved(span)[0], self.x[k])

        if preactivation(horizon) > 0:
            return None
        return mp.findroot(preactivation, (mpf(0), horizon), solver="anderson", tol=mpf(10) ** -90)
