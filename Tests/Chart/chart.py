"""Runs the chart's programs, or those that are named, and stops at the first failure."""

from __future__ import annotations

import argparse
import sys

import cluster
import controller
import lint
import rendering
import rights
import schema
import script
from kit.checks import Checks, run

PROGRAMS = {
    "lint": lint.program,
    "schema": schema.program,
    "rendering": rendering.program,
    "rights": rights.program,
    "script": script.program,
    "cluster": cluster.program,
    "controller": controller.program,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("programs", nargs="*", choices=[[], *PROGRAMS], help="default: all")
    chosen = options.parse_args().programs or list(PROGRAMS)
    sys.exit(run({name: PROGRAMS[name] for name in chosen}, Checks()))


if __name__ == "__main__":
    main()
