"""dlt reading ActiveCampaign: a generator over its own requests, which repeat a refused one, merged by id."""

import sys
from collections.abc import Iterator

import dlt
from dlt.sources.helpers import requests

LIMIT = 100


def main(url: str, folder: str) -> None:
    @dlt.resource(name="deals", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def deals() -> Iterator[list[dict[str, object]]]:
        session = requests.Client().session
        offset = 0
        while True:
            asked = {"limit": LIMIT, "offset": offset, "orders[cdate]": "ASC"}
            answer = session.get(f"{url}/api/3/deals", params=asked, headers={"Api-Token": "demo"})
            answer.raise_for_status()
            rows = answer.json()["deals"]
            yield rows
            if len(rows) < LIMIT:
                return
            offset += LIMIT

    destination = dlt.destinations.sqlalchemy(f"sqlite:///{folder}/copy.db")
    pipeline = dlt.pipeline("crm", pipelines_dir=f"{folder}/dlt", destination=destination, dataset_name="main")
    pipeline.run(deals).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
