"""What a run costs, against width, number of data, scale and number of seeds, with fitted slopes.

    python benchmarks/curves.py [--out FILE.json] [--plot FILE.png] [--quick] [--full]
        [--only CURVE] [--devices N]

Width (10^2 to 10^6), scale (1e-3 to 1e-300) and seeds (1 to 10^5) on the toy; number of data (2 to
64, with --full to 256) on random orthogonal inputs in as many dimensions, 100 neurons, λ = 1e-6,
to t = 30 n. One run alone has linear algebra on one thread and saves nothing but its end; seeds go
through `jaxflow.ensemble` on all cores. With `--devices` the CPU counts as so many, among which the
neurons of wide networks are shared out. Every time is a median after a first call, whose excess is
the compilation. A slope is the exponent of a power law fitted by least squares to the points; for
the width also µs a neuron, and for the scale the ratio of the last time to the one at 1e-6.
"""

import argparse
import json

from comparison import cost
from comparison.cost_picture import draw


def main() -> None:
    """Measure the curves, print them, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="JSON file")
    parser.add_argument("--plot", help="PNG file")
    parser.add_argument("--quick", action="store_true", help="few small sizes, to see it work")
    parser.add_argument("--full", action="store_true", help="up to 256 data; takes minutes longer")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=cost.CURVES, help="one of the curves")
    parser.add_argument("--devices", type=int, default=1, help="as which the CPU counts")
    asked = parser.parse_args()
    cost.split_cpu(asked.devices)
    curves = {}
    for name, measured in cost.curves(asked.quick, asked.full, asked.repeats, asked.only):
        curves[name] = measured
        print(cost.text(name, measured), flush=True)
    if asked.out:
        with open(asked.out, "w") as file:
            json.dump(curves, file, indent=1)
    if asked.plot:
        draw(curves, asked.plot)


if __name__ == "__main__":
    main()
