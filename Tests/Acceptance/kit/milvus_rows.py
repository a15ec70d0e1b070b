"""Reads and changes the raw rows of a collection with Milvus's own client; runs under the interpreter that has it.

    milvus_rows.py PORT COLLECTION rows              # all rows as one JSON array
    milvus_rows.py PORT COLLECTION delete ID         # takes one row away
    milvus_rows.py PORT COLLECTION copy ID OTHER     # stores one row a second time, under another key
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pymilvus import MilvusClient  # type: ignore[import-not-found, unused-ignore]

SCALARS = ["id", "pool", "principal", "session", "session_name", "generation", "agent", "first_turn", "last_turn", "time"]
TEXTS = ["summary", "entities", "text"]
MOST = 16_384  # rows of one answer


def found(client: Any, collection: str, condition: str, fields: list[str]) -> list[dict[str, Any]]:
    rows = client.query(
        collection, filter=condition, output_fields=fields, limit=MOST, consistency_level="Strong"
    )
    return [{field: row[field] for field in fields} for row in rows]


def all_rows(client: Any, collection: str) -> list[dict[str, Any]]:
    """As many as the server counts, which shows that it hides none; rows may be written meanwhile."""
    for _ in range(20):
        rows = found(client, collection, "first_turn >= 0", SCALARS + TEXTS)
        answer = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")
        if answer[0]["count(*)"] == len(rows) < MOST:
            return rows
    sys.exit(f"the server counts {answer[0]['count(*)']} rows and shows {len(rows)}")


def main() -> None:
    port, collection, order, *ids = sys.argv[1:]
    client = MilvusClient(uri=f"http://127.0.0.1:{port}")
    client.load_collection(collection)  # which a restart of milvus-lite leaves to whoever comes first
    if order == "rows":
        rows = all_rows(client, collection)
        print(json.dumps(rows))
    elif order == "delete":
        client.delete(collection, ids=ids)
    elif order == "copy":
        (row,) = found(client, collection, f'id == "{ids[0]}"', [*SCALARS, *TEXTS, "vector"])
        client.insert(collection, [row | {"id": ids[1], "vector": [float(v) for v in row["vector"]]}])
    else:
        sys.exit(f"no such order: {order}")


if __name__ == "__main__":
    main()
