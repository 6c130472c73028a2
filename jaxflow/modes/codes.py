"""The codes of the activation modes, and of what the boundary choice has to report."""

INACTIVE = 0
"""⟨w, x_k⟩ < 0, or = 0 and at rest: α_k = 0."""

ACTIVE = 1
"""⟨w, x_k⟩ > 0, or = 0 and leaving: α_k = 1."""

SLIDING = 2
"""⟨w, x_k⟩ = 0 and stays so: α_k ∈ [0, 1]."""

UNIQUE = 0
"""The choice is the only Filippov solution."""

AT_REST = 1
"""A repelling boundary holds the neuron only because relu'(0) = 0: nothing moves it off."""

NON_UNIQUE = 2
"""Several repelling boundaries at once, or one at the start, allow another solution."""

UNSTABLE = 4
"""The neuron goes on sliding on a boundary that became repelling when a changed its sign."""

FAILED = 8
"""The active-set iteration did not reach its optimality conditions: do not use the result."""
