"""Prints what tests/vectors/verifier.py says of every frozen vector, as JSON."""

import base64
import hashlib
import hmac
import json
import re
import sys
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "vectors"
sys.path.insert(0, str(VECTORS))

import verifier  # noqa: E402
from verifier import Pepper  # noqa: E402

KEYS = json.loads((VECTORS / "key.json").read_text())
RECORDS = json.loads((VECTORS / "record.json").read_text())
PREFIX = KEYS["prefix"]
PEPPERS = [Pepper(KEYS[name]) for name in ("pepper", "pepper_previous")]


def sha256(key):
    return hashlib.sha256(key.encode()).digest()


def is_match(case, is_imported, field="digest", pepper=None):
    return verifier.is_digest_of(case[field], case["key"], is_imported, [Pepper(pepper or case["pepper"])])


def wrong_fields(case):
    """The fields of a record that are wrong, `.` for the whole."""
    # The text is made here, because JavaScript cannot tell 1.0 from 1.
    text = case["json"] if "json" in case else json.dumps(case["record"])
    try:
        verifier.read_record(text)
        return []
    except (json.JSONDecodeError, RecursionError):
        return ["."]
    except ValueError as error:
        return error.args[0]


def worked_example():
    """The rows of the worked example in docs/key-format.md."""
    [issued, *_], [imported] = KEYS["digests"], KEYS["imported"]
    pepper = PEPPERS[0]
    key = issued["key"].encode()
    tag_mac = hmac.digest(pepper.tag_key, key[:-8], "sha256")
    digest_mac = hmac.digest(pepper.digest_keys["hs256"], key, "sha256")
    imported_mac = hmac.digest(pepper.digest_keys["hsha256"], sha256(imported["key"]), "sha256")

    def base64url(mac):
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    return {
        "pepper": KEYS["pepper"],
        "pepper id": pepper.id,
        "tag key": pepper.tag_key.hex(),
        "digest key": pepper.digest_keys["hs256"].hex(),
        "imported-digest key": pepper.digest_keys["hsha256"].hex(),
        "key": issued["key"],
        "id": verifier.key_id(issued["key"], PREFIX),
        "tag MAC": tag_mac.hex(),
        "tag": verifier.base62(tag_mac[:8], 8),
        "digest": f"hs256.{pepper.id}.{base64url(digest_mac)}",
        "imported key": imported["key"],
        "SHA-256 of the imported key": sha256(imported["key"]).hex(),
        "imported id": verifier.imported_id(sha256(imported["key"])),
        "imported digest": f"hsha256.{pepper.id}.{base64url(imported_mac)}",
        "bare digest": f"sha256.{base64url(sha256(imported['key']))}",
    }


json.dump(
    {
        "outcomes": [verifier.fault(case["key"], PREFIX, PEPPERS) or "ok" for case in KEYS["cases"]],
        "pepperIds": [Pepper(case["pepper"]).id for case in KEYS["pepper_ids"]],
        "keyIds": [verifier.key_id(case["key"], PREFIX) for case in KEYS["digests"]],
        "digests": [is_match(case, False) for case in KEYS["digests"]],
        "importedIds": [verifier.imported_id(sha256(case["key"])) for case in KEYS["imported"]],
        "imported": [is_match(case, True, field) for case in KEYS["imported"] for field in ("digest", "bare_digest")],
        # Every digest with every other key, with another pepper, and as the other kind: none may match.
        "mismatches": [
            *(is_match({**case, "digest": other["digest"]}, False) for case in KEYS["digests"] for other in KEYS["digests"] if other is not case),
            *(is_match(case, False, pepper=other["pepper"]) for case in KEYS["digests"] for other in KEYS["digests"] if other is not case),
            *(is_match(case, True) for case in KEYS["digests"]),
            *(is_match(case, False, field) for case in KEYS["imported"] for field in ("digest", "bare_digest")),
        ],
        "badDigests": [bool(re.fullmatch(verifier.DIGEST, case["digest"])) for case in KEYS["bad_digests"]],
        "prefixes": {
            kind: [bool(re.fullmatch(verifier.PREFIX, prefix)) for prefix in prefixes] for kind, prefixes in KEYS["prefixes"].items()
        },
        "records": [wrong_fields(case) for case in RECORDS],
        "example": worked_example(),
    },
    sys.stdout,
)
