"""Verifies Keygate's keys and reads its records, as docs/key-format.md describes them. Python 3.11, standard library only."""

import base64
import hashlib
import hmac
import ipaddress
import json
import re

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = r"(?=.{2,24}\Z)[a-z][a-z0-9]*(_[a-z0-9]+)*"
DIGEST = r"(?:(hs256|hsha256)\.([0-9a-f]{8})|sha256)\.([0-9A-Za-z_-]{42}[AEIMQUYcgkosw048])"
ID, TOKEN, PLAIN = "[0-9A-Za-z]{12}", r"[!#-+\x2d-\x5b\x5d-~]", r"[^\x00-\x1f\x7f-\x9f]"

class Pepper:
    def __init__(self, text):
        secret = text.strip(" \t\n\f\r").encode()
        if not re.fullmatch(rb"[!-~]{43,512}", secret) or len(set(secret)) < 10:
            raise ValueError("not a pepper")
        self.id = hashlib.sha256(b"keygate/v1/pepper-id\0" + secret).hexdigest()[:8]
        self.tag_key = hmac.digest(secret, b"keygate/v1/tag", "sha256")
        self.digest_keys = {"hs256": hmac.digest(secret, b"keygate/v1/digest", "sha256"),
                            "hsha256": hmac.digest(secret, b"keygate/v1/imported-digest", "sha256")}

def base62(hashed, length):
    return "".join(BASE62[int.from_bytes(hashed) // 62**place % 62] for place in reversed(range(length)))

def fault(key, prefix, peppers):
    """Returns the first thing that is wrong with a key, or None. Peppers are the current one and the previous one."""
    key, prefix = key.encode(), prefix.encode() + b"_"
    tags = [base62(hmac.digest(pepper.tag_key, key[:-8], "sha256")[:8], 8).encode() for pepper in peppers]
    checks = {"prefix": key.startswith(prefix), "length": len(key) == len(prefix) + 50,
              "character": re.fullmatch(rb"[0-9A-Za-z]*", key[len(prefix):]),
              "tag": any([hmac.compare_digest(tag, key[-8:]) for tag in tags])}
    return next((name for name, is_right in checks.items() if not is_right), None)

def imported_id(sha256):
    """Returns the id of an imported key from the key's SHA-256."""
    return base62(hashlib.sha256(b"keygate/v1/imported-id\0" + sha256).digest()[:16], 12)

def is_digest_of(digest, key, is_imported, peppers):
    scheme, pepper_id, mac = re.fullmatch(DIGEST, digest).groups()
    message = hashlib.sha256(key.encode()).digest() if is_imported else key.encode()
    macs = [hmac.digest(pepper.digest_keys[scheme], message, "sha256") for pepper in peppers if pepper.id == pepper_id]
    return any(hmac.compare_digest(unbase64(mac), expected) for expected in (macs if scheme else [message]))

def network(value):
    try:  # `ip_network` raises ValueError on bits after the prefix, too.
        return text(r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?")(value) and not getattr(ipaddress.ip_network(value)[0], "ipv4_mapped", None)
    except ValueError:
        return False

key_id = lambda key, prefix: key.removeprefix(prefix + "_")[:12]
unbase64 = lambda digits: base64.urlsafe_b64decode(digits + "=")
text = lambda pattern: lambda value: isinstance(value, str) and re.fullmatch(pattern, value)
whole = lambda least, most: lambda value: type(value) is int and least <= value <= most
array = lambda rule: lambda value: isinstance(value, list) and len(value) <= 64 and all(map(rule, value))
quota = lambda q: type(q) is dict and len(q) == 2 and whole(1, 10**15 - 1)(q.get("limit")) and text("hour|day|month|total")(q.get("period"))
notes = lambda value: isinstance(value, dict) and len(value) <= 16 and all(
    text(PLAIN + "{0,64}")(name) and text(PLAIN + "{0,256}")(note) for name, note in value.items())
maybe = lambda rule: lambda value: value is None or rule(value)
TIME = whole(0, 253402300799)
FIELDS = {"v": whole(1, 1), "id": text(ID), "subject": text(TOKEN + "{1,128}"), "name": maybe(text(PLAIN + "{0,128}")),
          "digest": text(DIGEST), "state": text("active|disabled|revoked"), "created": TIME, "not_before": maybe(TIME),
          "not_after": maybe(TIME), "scopes": maybe(array(text(TOKEN + "{1,64}"))), "ips": maybe(array(network)), "meta": maybe(notes),
          "plan": maybe(text("[0-9A-Za-z_.-]{1,64}")), "replaces": maybe(text(ID)), "replaced_by": maybe(text(ID)), "quota": maybe(quota)}

def read_record(json_text):
    """Returns the record as a dict. Raises ValueError with the fields that are wrong, `.` for the whole."""
    unique = lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else "a name is there twice"
    record = json.loads(json_text, object_pairs_hook=unique)
    if len(json_text.encode()) > 16384 or not isinstance(record, dict):
        raise ValueError(["."])
    if wrong := [field for field in {**FIELDS, **record} if field not in FIELDS or not FIELDS[field](record.get(field))]:
        raise ValueError(wrong)
    if None not in (period := (record.get("not_before"), record.get("not_after"))) and period[0] >= period[1]:
        raise ValueError(["not_after"])
    if record["digest"].startswith("sha256.") and record["id"] != imported_id(unbase64(record["digest"][7:])):
        raise ValueError(["id"])
    return record
