"""The Riccati equation of a datum whose neurons see no other.

    dE/dt = 2 κ (y E − A E² + B),   κ = ‖x_k‖/n,   E = exp(2θ),   E(0) = 1.

With y > 0 (else E becomes 1/E, and A and B change places), g = sqrt(y² + 4AB) and q = (y + g)/2,
the function V = E + B/q obeys dV/dt = 2κ V (g − A V):

    V(t) = g V(0)/(A V(0) (1 − exp(−τ)) + g exp(−τ)),   τ = 2 κ g t.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

WELL_CONDITIONED = 0.1
"""E = V − B/q loses no digits while B/q is at most this."""


class Riccati(eqx.Module):
    """E(t) of every datum, in logarithms, with the label made positive.

    Attributes:
        log_a, log_b: log A, log B; −inf where there are none.
        y: |y_k|.
        kappa: ‖x_k‖/n.
        g: sqrt(y² + 4AB).
        log_ratio: log(B/q).
        log_start: log V(0).
    """

    log_a: Float[Array, " n"]
    log_b: Float[Array, " n"]
    y: Float[Array, " n"]
    kappa: Float[Array, " n"]
    g: Float[Array, " n"]
    log_ratio: Float[Array, " n"]
    log_start: Float[Array, " n"]

    def __init__(self, log_a, log_b, y, kappa):
        self.log_a, self.log_b, self.y, self.kappa = log_a, log_b, y, kappa
        self.g = jnp.maximum(jnp.sqrt(y**2 + 4 * jnp.exp(log_a + log_b)), 1e-300)
        self.log_ratio = log_b - jnp.log(jnp.maximum((y + self.g) / 2, 1e-300))
        self.log_start = jnp.log1p(jnp.exp(self.log_ratio))

    @property
    def sound(self) -> Bool[Array, " n"]:
        """Whether the formulas lose no digits here; data without neurons are at rest."""
        nobody = jnp.isinf(self.log_a) & jnp.isinf(self.log_b)
        fine = jnp.isfinite(self.g) & (self.log_ratio <= jnp.log(WELL_CONDITIONED))
        return nobody | fine

    def angle(self, t: Float[Array, ""]) -> Float[Array, " n"]:
        """|θ_k(t)|."""
        tau = 2 * self.kappa * self.g * t
        grown = jnp.where(tau > 0, -jnp.expm1(-tau), 1e-300)
        born = self.log_a + self.log_start + jnp.log(grown)
        log_g = jnp.log(self.g)
        log_v = self.log_start + log_g - jnp.logaddexp(born, log_g - tau)
        log_e = log_v + jnp.log1p(-jnp.exp(self.log_ratio - log_v))
        return jnp.where(tau > 0, jnp.abs(log_e) / 2, 0.0)

    def time(self, angle: Float[Array, "n m"]) -> Float[Array, "n m"]:
        """The time at which |θ_k| reaches a value that it does reach."""
        room = self._room()
        onward = jnp.where(room >= 0, 2.0, -2.0)
        log_v = jnp.logaddexp(onward[:, None] * angle, self.log_ratio[:, None])
        left = self.g[:, None] - jnp.exp(self.log_a[:, None] + log_v)
        passed = jnp.log(jnp.abs(room[:, None] / left))
        return (log_v - self.log_start[:, None] + passed) / (2 * self.kappa * self.g)[:, None]

    def time_of_fit(self, tolerance: Float[Array, ""]) -> Float[Array, ""]:
        """The time at which all residuals are `tolerance` times the label."""
        tau = jnp.log(jnp.maximum(jnp.abs(self._room()), 1e-300)) - jnp.log(tolerance)
        tau = tau - self.log_a - self.log_start
        usable = jnp.isfinite(self.log_a) & (self.y > 0)
        rate = 2 * self.kappa * jnp.where(usable, self.g, 1.0)
        return jnp.max(jnp.where(usable, jnp.maximum(tau, 0.0) / rate, 0.0))

    def _room(self) -> Float[Array, " n"]:
        """g − A V(0), whose sign is that of dV/dt."""
        return self.g - jnp.exp(self.log_a + self.log_start)

    @property
    def coefficients(self) -> Float[Array, "7 n"]:
        """All attributes in their order."""
        return jnp.stack(
            [self.log_a, self.log_b, self.y, self.kappa, self.g, self.log_ratio, self.log_start]
        )
