"""Applies the rules of a scanner that no registry has, with the regular-expression engine that it uses, to the files of a folder.

TruffleHog is a Go program, whose regular expressions are RE2's; GitHub uses Hyperscan. Prints the secrets found, as JSON.
"""

import json
import pathlib
import re
import sys

import hyperscan
import re2
import yaml

# What custom_detectors.proto of TruffleHog has; its reader refuses any other field.
DETECTOR_FIELDS = {
    "name", "keywords", "regex", "verify", "description", "exclude_regexes_capture", "exclude_words", "entropy",
    "exclude_regexes_match", "primary_regex_name", "validations",
}  # fmt: skip


def trufflehog(rules, data):
    for detector in yaml.safe_load(rules)["detectors"]:
        assert detector.keys() <= DETECTOR_FIELDS, detector
        # Only where a keyword occurs, in any case, is the expression tried.
        if any(keyword.lower() in data.lower() for keyword in detector["keywords"]):
            for expression in detector["regex"].values():
                yield from re2.findall(expression, data)


def github(rules, data):
    for rule in json.loads(rules)["patterns"]:
        whole = f"(?:{rule['start_delimiter']})(?:{rule['pattern']})(?:{rule['end_delimiter']})"
        database = hyperscan.Database()
        database.compile(expressions=[whole.encode()], flags=[hyperscan.HS_FLAG_SOM_LEFTMOST])
        spans = []
        database.scan(data.encode(), match_event_handler=lambda _id, start, end, *_: spans.append((start, end)))
        for start, end in spans:
            yield re.search(rule["pattern"], data.encode()[start:end].decode(errors="replace")).group()


find, rules, folder = {"trufflehog": trufflehog, "github": github}[sys.argv[1]], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
print(json.dumps([secret for file in files for secret in find(rules.read_text(), file.read_bytes().decode())]))
