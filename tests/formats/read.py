"""Reads reports of mcpgate with parsers that are not its own, and prints what they say as JSON.

    python read.py junit FILE SCHEMA...
    python read.py csv FILE
"""

import csv
import json
import sys
from xml.etree import ElementTree

import xmlschema


def junit(path, *schemas):
    for schema in schemas:
        xmlschema.XMLSchema(schema).validate(path)
    (suite,) = ElementTree.parse(path).getroot()
    tests = []
    for case in suite.iter("testcase"):
        (outcome,) = case
        tests.append(
            {
                "class": case.get("classname"),
                "name": case.get("name"),
                "seconds": float(case.get("time")),
                "outcome": outcome.tag,
                "kind": outcome.get("type"),
                "message": outcome.get("message"),
                "text": outcome.text,
            }
        )
    return {
        "counts": {name: int(suite.get(name)) for name in ("tests", "failures", "skipped")},
        "properties": {item.get("name"): item.get("value") for item in suite.iter("property")},
        "tests": tests,
    }


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


READERS = {"junit": junit, "csv": table}

if __name__ == "__main__":
    _, reader, *arguments = sys.argv
    json.dump(READERS[reader](*arguments), sys.stdout)
