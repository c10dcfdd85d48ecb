"""Comporta through its Python entry point: the deals of one ActiveCampaign account, settings as shipped."""

import sys
from pathlib import Path

import comporta


def main(url: str, folder: str) -> None:
    account = f'[accounts.crm]\nsource = "activecampaign"\nurl = "{url}"\napi_key = "file:key"\n'
    Path(folder, "key").write_text("demo")
    Path(folder, "comporta.toml").write_text(
        f'database = "sqlite:///copy.db"\nstate_dir = "state"\nmargin = "0s"\n{account}'
    )
    (run,) = comporta.sync("crm/deals", config=f"{folder}/comporta.toml")
    if run.state.value != "succeeded":
        raise SystemExit(f"{run.state}: {run.error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
