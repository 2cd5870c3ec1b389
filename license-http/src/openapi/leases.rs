//! Descriptions of leases, lists of revocations and signing keys.

use axum::http::StatusCode;
use license_core::license::LeaseEnd;
use license_core::limits;
use license_core::signing::SigningKeyState;
use license_core::validation::DenialCode;
use serde_json::{Map, Value, json};

use super::operation::{Op, get, post};
use super::schema::{
    about, activation_id, array, constant, count, matching, named, nullable, one_of, string, text, time,
    token, whole, with,
};
use crate::problem::Code;
use crate::routes::leases::DENIALS;

/// Denials of the return of a lease.
const NOT_RETURNED: [DenialCode; 1] = [DenialCode::LicenseRevoked];

/// The id of a lease.
fn lease_id() -> Value {
    matching("^lease_[0-9a-z]{1,40}_[0-9]{10,19}$")
}

/// The id of a signing key.
fn key_id() -> Value {
    matching("^[0-9A-Za-z_-]{43}$")
}

pub(super) fn operations(key_errors: &[Code]) -> [Op; 8] {
    [
        post("/leases", "issueLease", "Issue a license lease")
            .about(
                "A signed permission to run on this device without a network. It validates the license, takes the slots that it \
                 needs, and holds the slot of the device until the lease has ended. A lease of the same device renews it. A denied \
                 request is answered 200 too: check `valid`. For a machine without a network, see POST /lease-requests.",
            )
            .lenient()
            .refuses()
            .reads_or("LeaseRequest", key_errors)
            .errors(&[Code::SigningUnavailable, Code::ClockImplausible])
            .answers("LeaseAnswer", "The lease, or the denial."),
        post("/leases/release", "releaseLease", "Hand back a lease")
            .about(
                "The release code proves that the software gave up its lease. If the plan has `trust_release`, the slot of the \
                 device is free at once, otherwise when the lease has ended: a copy of it can be in use. A repeated call gets \
                 the same answer.",
            )
            .lenient()
            .refuses()
            .reads_or("LeaseRelease", &[
                Code::BadRequest,
                Code::RequestTimeout,
                Code::PayloadTooLarge,
                Code::UnsupportedMediaType,
                Code::OfflineCodeMalformed,
                Code::RateLimited,
                Code::StoreUnavailable,
            ])
            .errors(&[Code::SigningUnavailable])
            .denials(StatusCode::NOT_FOUND, &[DenialCode::LeaseNotFound])
            .answers("LeaseReleaseAnswer", "Whether the lease was handed back."),
        get("/revocations", "getRevocations", "Get the revoked leases of a product")
            .query("product", text(limits::PLAN_NAME_BYTES), "Product; `default` if absent.")
            .about(
                "A signed list of the leases that software may still hold, but must not use: they were revoked or handed back, or \
                 their license is suspended or revoked. It is made at most once a minute; `ETag` and gzip save traffic.",
            )
            .answers("Revocations", "The list.")
            .if_none_match()
            .errors(&[
                Code::BadRequest,
                Code::ProductNotFound,
                Code::QueryTooBroad,
                Code::StoreUnavailable,
                Code::SigningUnavailable,
            ]),
        get("/licenses/{id}/leases", "listLeases", "List the leases of a license")
            .about("Leases that have ended are removed after a day.")
            .lists("LeasePage", lease_id()),
        post("/lease-requests", "issueRequestedLease", "Issue a lease for a machine without a network")
            .about(
                "Answers the request code that software shows to its user. The answer has a license file, which only this \
                 software accepts. If the answer was lost, repeat the request.",
            )
            .reads("LeaseByCode")
            .errors(&[
                Code::OfflineCodeMalformed,
                Code::LicenseKeyMalformed,
                Code::FingerprintInvalid,
                Code::LicenseNotFound,
                Code::SigningUnavailable,
                Code::ClockImplausible,
            ])
            .answers("LeaseAnswer", "The lease, or the denial."),
        get("/signing-keys", "listSigningKeys", "List the signing keys")
            .answers("SigningKeyList", "All keys, without their private parts."),
        post("/signing-keys/rotate", "rotateSigningKey", "Replace the signing key")
            .about(
                "The next key becomes active. The key before it stays valid until its last token has ended; until then, another \
                 rotation is refused. `license-server signing-key rotate --force` rotates all the same.",
            )
            .errors(&[Code::SigningKeyRetiring])
            .answers("SigningKeyList", "All keys after the rotation."),
        post("/signing-keys/{key_id}/revoke", "revokeSigningKey", "Revoke a signing key")
            .about("For a key that leaked. No token that it signed is valid, and it never comes back. An active key is replaced.")
            .errors(&[Code::SigningKeyNotFound])
            .answers("SigningKeyList", "All keys after the revocation."),
    ]
}

/// Returns the schemas of bodies.
pub(super) fn bodies(validation: &Value) -> Map<String, Value> {
    let days = || {
        let days = nullable(whole(1, limits::PLAN_DAYS));
        about(
            days,
            "Wanted time in days; by default as long as the plan allows. More days are lowered, see `limited_by`.",
        )
    };
    let fields = ["key", "domain", "fingerprint", "client", "product", "released_at"];
    let mut lease: Map<_, _> =
        fields.iter().map(|name| ((*name).to_owned(), validation["properties"][name].clone())).collect();
    lease.insert("days".to_owned(), days());
    let Value::Object(schemas) = json!({
        "LeaseRequest": {
            "properties": lease,
            "required": ["key"],
            "examples": [{ "key": "TO-7V3K-M9XQ-2B4D-8HNP", "fingerprint": "machine-1", "days": 7 }],
        },
        "LeaseRelease": {
            "properties": { "release": about(string(), "Release code of the software, `LREL1-…`.") },
            "required": ["release"],
        },
        "LeaseByCode": {
            "properties": {
                "request": about(string(),
                    "Request code of the software, `LREQ1-…`. It contains the license key: keep it out of logs."),
                "days": days(),
            },
            "required": ["request"],
        },
        "SlotsReleased": {
            "properties": {
                "release": about(json!({ "type": "boolean" }),
                    "Whether to free all slots of devices, and of domains that customers can take, and to revoke all leases. For \
                     a key that others used."),
            },
        },
    }) else {
        return Map::new();
    };
    schemas
}

/// Returns the schemas of fields whose types do not say enough.
pub(super) fn rules() -> Vec<(&'static str, Value)> {
    vec![
        ("IssuedLease.lease", token()),
        ("IssuedLease.file", string()),
        ("IssuedLease.limited_by", one_of(["plan", "license"])),
        ("ReturnedLease.returned", constant(true)),
        ("NotReturned.returned", constant(false)),
        ("NotReturned.error", one_of(NOT_RETURNED.map(DenialCode::as_str))),
        ("Lease.id", lease_id()),
        ("Lease.activation_id", activation_id()),
        ("Lease.ended_by", nullable(one_of(LeaseEnd::ALL.map(LeaseEnd::as_str)))),
        ("Revocations.revocations", token()),
        ("SigningKey.id", key_id()),
        ("SigningKey.state", one_of(SigningKeyState::ALL.map(SigningKeyState::as_str))),
    ]
}

/// Returns the denial of a lease: that of a validation, with more codes.
pub(super) fn denied_lease(denied: &Value) -> Value {
    let codes = || one_of(DENIALS.map(DenialCode::as_str));
    let mut schema = denied.clone();
    schema["properties"]["error"] = codes();
    schema["properties"]["reasons"]["items"] = codes();
    schema
}

/// Returns the fields of slots that a full license has in addition.
pub(super) fn held_slots() -> [(&'static str, Value); 2] {
    let held = "Slots that leases hold: only the vendor can free them earlier. Only with `DEVICE_LIMIT_REACHED` and \
        `OFFLINE_LIMIT_REACHED`.";
    let next = "When another device can be added; null if no lease holds a slot. Only with `held`.";
    [("held", about(count(), held)), ("next_free_at", about(nullable(time()), next))]
}

/// Returns the field of a license with leases that software accepts although it should not.
pub(super) fn outstanding_leases() -> Value {
    let leases = array(named("Lease"));
    about(
        with(leases, "maxItems", limits::OUTSTANDING_LEASES),
        "Leases that software accepts until their end although they were revoked or handed back, or the license is \
         suspended, revoked or above its limit of devices. Only in answers about one license, and only if there are any.",
    )
}
