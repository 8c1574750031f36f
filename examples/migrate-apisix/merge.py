"""Prints one list with the entries of several lists of APISIX's Admin API."""

import json
import sys

entries = []
for name in sys.argv[1:]:
    with open(name) as file:
        entries += json.load(file)["list"]
json.dump({"list": entries, "total": len(entries)}, sys.stdout, indent=2)
