"""Checks the tokens of clients/vectors with PyJWT and joserfc, as a verifier in another language would.

Each library knows only the JWKS of the trusted keys, the product and the time. It must accept the good tokens, and reject
the bad ones for which `jwt_library` is true.
"""

import datetime
import json
import pathlib
import sys
import unittest.mock

import joserfc.jwk
import joserfc.jwt
import jwt
import jwt.api_jwt


class Clock(datetime.datetime):
    """A clock that shows the time of the case."""

    time = 0

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(cls.time, tz)


def by_pyjwt(token, jwks, case):
    header = jwt.get_unverified_header(token)
    key = {key["kid"]: key for key in jwks["keys"]}[header["kid"]]
    # Without "alg" in the JWK: the algorithm comes from the key.
    Clock.time = case["now"]
    with unittest.mock.patch.object(jwt.api_jwt, "datetime", Clock):
        claims = jwt.decode(
            token,
            jwt.PyJWK(key, algorithm="EdDSA"),
            algorithms=["EdDSA"],
            audience=case["product"],
            options={"require": ["aud", "iat"] + ["exp"] * (case["type"] != "revocations"), "strict_aud": True},
        )
    return header, claims


def by_joserfc(token, jwks, case):
    keys = joserfc.jwk.KeySet.import_key_set(jwks)
    decoded = joserfc.jwt.decode(token, keys, algorithms=["EdDSA"])
    needed = {"aud": {"essential": True, "value": case["product"]}, "iat": {"essential": True}}
    if case["type"] != "revocations":
        needed["exp"] = {"essential": True}
    joserfc.jwt.JWTClaimsRegistry(now=case["now"], **needed).validate(decoded.claims)
    return decoded.header, decoded.claims


def accepts(library, case, jwks):
    try:
        header, _ = library(case["token"], jwks, case)
    except Exception as error:  # Every library has its own errors, and some leak those of a parser.
        return False, f"{type(error).__name__}: {error}"
    return header.get("typ") == f"license-{case['type']}+jwt", f"typ {header.get('typ')}"


def main():
    folder = pathlib.Path(sys.argv[1])
    keys = {key["name"]: key["jwk"] for key in json.loads((folder / "keys.json").read_text())["keys"]}
    cases = [case for case in json.loads((folder / "tokens.json").read_text())["cases"] if case["jwt_library"]]
    wrong = 0
    for library in (by_pyjwt, by_joserfc):
        counts = {True: 0, False: 0}
        for case in cases:
            jwks = {"keys": [keys[name] for name in case["trusted"]]}
            good = case["error"] is None
            accepted, reason = accepts(library, case, jwks)
            counts[good] += 1
            if accepted != good:
                wrong += 1
                print(f"{library.__name__}: {case['name']!r}: accepted is {accepted}, expected is {good} ({reason})")
        print(f"{library.__name__}: {counts[True]} good and {counts[False]} bad tokens")
        assert counts[True] >= 5 and counts[False] >= 20, counts
    sys.exit(wrong != 0)


main()
