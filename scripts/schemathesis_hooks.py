"""Replaces generated values that match the schema but break a rule that a schema cannot express.

Only well-formed values are replaced, so an invalid request stays invalid.
"""

import datetime
import hashlib
import os
import re
import urllib.parse

import requests
import schemathesis

# The discard port, on which no program listens.
CLOSED_PORT = "http://127.0.0.1:9/"
PLANS = ["starter", "professional", "enterprise"]
TAG = re.compile(r'\*|(W/)?"[!#-~]*"')
WELL_FORMED = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")


def create(what, body):
    answer = requests.post(
        os.environ["LICENSE_URL"] + "/api/v1/" + what,
        headers={"Authorization": "Bearer " + os.environ["LICENSE_TOKEN"]},
        json=body,
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()


create("plans", {"name": "offline", "max_domains": None, "max_devices": None, "term": None, "offline_days": 7})
KEY = create("licenses", {"plan": "offline", "customer_email": "dev@example.com"})["key"]


def code(prefix, *parts):
    """Returns a request code or a release code."""
    data = b"".join(bytes([len(part)]) + part for part in parts)
    data += hashlib.sha256(prefix.encode() + data).digest()[:5]
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    symbols = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ"[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5)]
    return prefix + "-" + "".join(symbols)


def is_text(value, most):
    return isinstance(value, str) and 1 <= len(value) <= most and WELL_FORMED.fullmatch(value) is not None


def is_host(value):
    # The server ignores surrounding white space.
    return isinstance(value, str) and len(value) <= 2048 and is_text(value.strip(), 2048)


def moment(value):
    try:
        return datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def host(text):
    """Returns a host name that depends on the text only."""
    return f"host-{abs(hash(text)) % 1000}.example.com"


def fit(body):
    # Plans must be in the catalog.
    if is_text(body.get("plan"), 64):
        body["plan"] = PLANS[len(body["plan"]) % 3]
    # Domains must be host names.
    if is_host(body.get("domain")):
        body["domain"] = host(body["domain"])
    if isinstance(body.get("domains"), list) and all(map(is_host, body["domains"])):
        body["domains"] = [host(item) for item in body["domains"]]
    # Expiry must be in the future.
    if moment(body.get("expires_at")):
        body["expires_at"] = "2099-01-01T00:00:00Z"
    # Keys must have valid check symbols.
    if isinstance(body.get("key"), str):
        body["key"] = KEY
    # Codes must have a valid checksum.
    if isinstance(body.get("request"), str):
        body["request"] = code("LREQ1", b"default", KEY.encode(), b"device", b"0123456789abcdef")
    if isinstance(body.get("release"), str):
        body["release"] = code("LREL1", b"lease_unknown", b"0123456789abcdef")
    url = body.get("url")
    if isinstance(url, str) and len(url) <= 2048 and re.match("https?://", url):
        body["url"] = CLOSED_PORT


def storable(value):
    """Returns metadata without NUL characters and without numbers over 64 bits."""
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, str):
        return value.replace("\0", "0")
    if isinstance(value, (int, float)) and abs(value) >= 2**63:
        return 0
    return value


def fit_valid(path, body):
    """Changes a body that matches the schema."""
    for grant in [body, *body.get("grants", [])]:
        if isinstance(grant, dict) and grant.get("until") is not None:
            grant["until"] = "2099-01-01T00:00:00Z"
        if isinstance(grant, dict) and "value" in grant:
            grant["value"] = storable(grant["value"])
    # A text for people has no control characters.
    if isinstance(body.get("description"), str):
        body["description"] = "".join(WELL_FORMED.findall(body["description"]))
    # Only suspended and revoked licenses have a reason.
    if body.get("status") not in ("suspended", "revoked") and path.endswith("/licenses/{id}"):
        body.pop("reason", None)
    # Large batches must have few domains, and take long.
    if path.endswith("/batch"):
        body["count"] = body["count"] % 5 + 1
    # Only a move has a plan, and a renewal needs a header.
    if path.endswith("/bulk"):
        body["action"] = "suspend" if body["action"] == "renew" else body["action"]
        body.pop("plan", None)
        if body["action"] == "move_plan":
            body["plan"] = PLANS[0]
        # Nobody knows how many licenses a search finds, and an object without members is no filter.
        # The coverage phase ignores that a job has either ids or a search.
        if "ids" in body:
            body.pop("search", None)
            body.pop("expect", None)
        elif "search" not in body:
            body["search"] = {"plan": PLANS[0]}
        if "search" in body:
            body["dry_run"] = True
            body.pop("expect", None)
            if body["search"].get("metadata") == {}:
                body["search"] = {"plan": PLANS[0]}
            fit_search(body["search"])
            fit(body["search"])
            if "metadata" in body["search"]:
                body["search"]["metadata"] = storable(body["search"]["metadata"])
    # A call must name one domain or device.
    if path.endswith("/blocked"):
        body.pop("fingerprint", None)
        body["domain"] = host("any")
    if path.endswith("/deactivate"):
        for name in ("fingerprint", "activation_id"):
            if isinstance(body.get("domain"), str) or (name == "activation_id" and body.get("fingerprint")):
                body.pop(name, None)
        if not any(isinstance(body.get(name), str) for name in ("domain", "fingerprint", "activation_id")):
            body["domain"] = host("any")
    # A plan has one unit in a period, its product exists, and its hosts are hosts.
    if "/plans" in path:
        if body.get("term") is not None:
            body["term"] = {"days": 30}
        if body.get("updates") is not None:
            body["updates"] = {"months": 12, "after_expiry": body["updates"].get("after_expiry", "deny")}
        if isinstance(body.get("exempt_hosts"), list):
            body["exempt_hosts"] = [host(item) for item in body["exempt_hosts"]]
        body.pop("product", None)
        if body.get("features") is not None:
            body["features"] = {"export": True}
    if path.endswith("/search"):
        fit_search(body)


def fit_search(filters):
    """Changes the filters of a search. Cursors belong to one search, and few orders go with many filters."""
    for name in ("sort", "cursor"):
        filters.pop(name, None)
    for name, value in [
        ("product", "default"),
        ("external_id", "order-1"),
        ("email_prefix", "dev"),
        ("email_domain", "example.com"),
        ("last_validated_before", "2026-01-01"),
        ("last_validated_after", "2026-01-01"),
    ]:
        if filters.get(name) is not None:
            filters[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    # The built-in plans stay available, because other calls need them.
    if case.operation.path.endswith("/archive") and case.path_parameters.get("name") in PLANS:
        case.path_parameters["name"] = "unknown"
    if isinstance(case.body, dict) and case.meta.generation.mode.is_positive:
        fit_valid(case.operation.path, case.body)
    if case.query and case.meta.generation.mode.is_positive and case.operation.path.endswith(("/licenses", "/customers")):
        fit_search(case.query)
    if case.query and case.meta.generation.mode.is_positive and case.operation.path.endswith("/grants"):
        case.query["feature"] = "a"
    if isinstance(case.body, dict):
        fit(case.body)
        if "metadata" in case.body and case.meta.generation.mode.is_positive:
            case.body["metadata"] = storable(case.body["metadata"])
    # schemathesis ignores the contract's pattern for this header.
    tag = (case.headers or {}).get("If-Match")
    if tag is not None and case.meta.generation.mode.is_positive and not TAG.fullmatch(tag):
        case.headers["If-Match"] = '"1"'
    query = case.query or {}
    # Plans must be in the catalog.
    if case.meta.generation.mode.is_positive and is_text(query.get("plan"), 64):
        query["plan"] = PLANS[len(query["plan"]) % 3]
    # `from` must not be after `to`.
    begin, end = moment(query.get("from")), moment(query.get("to"))
    if begin and end and begin > end:
        query["from"], query["to"] = query["to"], query["from"]
    # The format `email` is ASCII; `idn-email` is not.
    email = (case.path_parameters or {}).get("email")
    if isinstance(email, str) and "@" in email and not email.isascii():
        case.path_parameters["email"] = "dev@example.com"
    # The period must be within the retention and have a limited number of intervals.
    if case.operation.path.endswith("/usage"):
        if query.get("interval") in ("hour", "day", "month") and "from" not in query:
            query["from"] = "now"
            begin = datetime.datetime.now()
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        for name, time, days in [("from", begin, 2), ("to", end, 0)]:
            if time:
                query[name] = (now - datetime.timedelta(days=days)).isoformat(timespec="seconds") + "Z"
