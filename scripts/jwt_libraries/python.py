"""Checks the tokens of clients/vectors with PyJWT, joserfc and jwcrypto, and their signatures with openssl.

Each library knows only the JWKS of the trusted keys, the product and the time. It must accept the good tokens, and reject
the bad ones for which `jwt_library` is true. openssl must decide alike about the signature alone.
"""

import base64
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest.mock

import joserfc.jwk
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
import jwt.api_jwt
from cryptography.hazmat.primitives import serialization


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


def by_jwcrypto(token, jwks, case):
    keys = jwcrypto.jwk.JWKSet.from_json(json.dumps(jwks))
    # The library checks only the claims that are named.
    names = {"lease": ["iat", "exp", "nbf"], "verdict": ["iat", "exp"], "revocations": ["iat"]}[case["type"]]
    needed = {"aud": case["product"], **dict.fromkeys(names)}
    decoded = jwcrypto.jwt.JWT(check_claims=needed, algs=["EdDSA"])
    decoded.leeway = 0
    with unittest.mock.patch.object(jwcrypto.jwt.time, "time", lambda: case["now"]):
        decoded.deserialize(token, keys)
    return json.loads(decoded.header), json.loads(decoded.claims)


def signature_is_valid(token, jwk, folder):
    """Returns whether openssl accepts the signature of a token."""
    signed, _, signature = token.rpartition(".")
    key, message, signature_file = (folder / name for name in ("key.pem", "message", "signature"))
    key.write_bytes(
        jwt.PyJWK(jwk, algorithm="EdDSA").key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    message.write_text(signed)
    signature_file.write_bytes(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message]
    return subprocess.run([*command, "-sigfile", signature_file], capture_output=True).returncode == 0


def check_signatures(cases, keys):
    """Returns the number of signatures that openssl judges wrongly. Every good token and every bad signature counts."""
    by_kid = {key["kid"]: key for key in keys.values()}
    counts, wrong = {True: 0, False: 0}, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in (case for case in cases if case["error"] in (None, "BAD_SIGNATURE")):
            good = case["error"] is None
            jwk = by_kid[jwt.get_unverified_header(case["token"])["kid"]]
            counts[good] += 1
            if signature_is_valid(case["token"], jwk, pathlib.Path(folder)) != good:
                wrong += 1
                print(f"openssl: {case['name']!r}: the signature should be {'good' if good else 'bad'}")
    print(f"openssl: {counts[True]} good and {counts[False]} bad signatures")
    assert counts[True] >= 5 and counts[False] >= 5, counts
    return wrong


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
    for library in (by_pyjwt, by_joserfc, by_jwcrypto):
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
    wrong += check_signatures(cases, keys)
    sys.exit(wrong != 0)


main()
