"""The script people write for ActiveCampaign: one page after the other by offset, and a pause where it is refused."""

import json
import sqlite3
import sys
import time

import requests

LIMIT = 100


def main(url: str, folder: str) -> None:
    session = requests.Session()
    session.headers["Api-Token"] = "demo"
    database = sqlite3.connect(f"{folder}/copy.db")
    database.execute("CREATE TABLE IF NOT EXISTS deals (id INTEGER PRIMARY KEY, record TEXT)")
    offset = 0
    while True:
        asked = {"limit": LIMIT, "offset": offset, "orders[cdate]": "ASC"}
        while (answer := session.get(f"{url}/api/3/deals", params=asked)).status_code == 429:
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        answer.raise_for_status()
        rows = answer.json()["deals"]
        with database:
            database.executemany(
                "INSERT INTO deals VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET record = excluded.record",
                [(int(row["id"]), json.dumps(row)) for row in rows],
            )
        if len(rows) < LIMIT:
            return
        offset += LIMIT


if __name__ == "__main__":
    main(*sys.argv[1:])
