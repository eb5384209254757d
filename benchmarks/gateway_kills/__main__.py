"""Kill a gateway: ``python -m benchmarks.gateway_kills [--kills 1000] [--output FILE]``.

A scanner sends small studies without end, each instance until it is acknowledged; a gateway
receives them, copies each series and delivers it to an archive, and is killed with SIGKILL at
random times. At last it is left alone, and everything is counted. Exits with 1 where anything was
lost, doubled, partial or left.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.gateway_kills.trial import Plan, try_kills


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--life", type=float, default=1.5, help="longest, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="file for the figures, JSON")
    arguments = parser.parse_args()
    plan = Plan(kills=arguments.kills, longest_life_s=arguments.life, seed=arguments.seed)
    with tempfile.TemporaryDirectory(prefix="gateway-kills-") as folder:
        count = try_kills(plan, Path(folder), told=_tell)
    figures = asdict(count)
    print(json.dumps(figures, indent=2))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(0 if count.is_sound else 1)


def _tell(done: int) -> None:
    if done % 50 == 0:
        print(f"{done} kills", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
