"""Comporta through its Python entry point, one stream of one account."""

import sys

import comporta


def main(_: str, folder: str, mode: str, __: str) -> None:
    runs = comporta.sync("matriz/sale.order", full=mode == "full", config=f"{folder}/comporta.toml")
    for run in runs:
        if run.state.value != "succeeded":
            raise SystemExit(f"{run.state}: {run.error}")
    print([run.counts.as_json() for run in runs])


if __name__ == "__main__":
    main(*sys.argv[1:])
