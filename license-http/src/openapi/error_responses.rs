//! Error responses: each status with its codes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use license_core::validation::DenialCode;
use serde_json::{Map, Value, json};

use super::schema::{about, count, matching, named, one_of, string};
use crate::problem::Code;

type Codes = BTreeSet<&'static str>;

/// The error statuses of a route, and their codes.
#[derive(Default)]
pub(super) struct ErrorResponses(BTreeMap<u16, Codes>);

impl ErrorResponses {
    pub(super) fn add(&mut self, codes: &[Code]) {
        for code in codes {
            self.add_as(code.status(), &[*code]);
        }
    }

    pub(super) fn add_as(&mut self, status: StatusCode, codes: &[Code]) {
        self.0.entry(status.as_u16()).or_default().extend(codes.iter().map(|code| code.as_str()));
    }

    pub(super) fn deny(&mut self, status: StatusCode, denials: &[DenialCode]) {
        self.0.entry(status.as_u16()).or_default().extend(denials.iter().map(|code| code.as_str()));
    }

    /// Returns problem details, named by their codes: routes with the same codes share a response.
    pub(super) fn problems(&self) -> impl Iterator<Item = (u16, String, Value)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let names: Vec<_> = codes.iter().map(|code| camel_case(code)).collect();
            let mut response = response(*status, codes, "application/problem+json", problem(*status, codes));
            add_headers(&mut response, &["RateLimit", "RateLimit-Policy", "X-Request-Id"]);
            (*status, names.join("Or"), response)
        })
    }

    /// Returns responses in the form of `/validate`.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let mut response = response(*status, codes, "application/json", refusal(codes));
            if *status == 503 {
                // Without a free connection, the server answers before it knows the path.
                let schema = problem(*status, &Codes::from([Code::Overloaded.as_str()]));
                response["content"]["application/problem+json"] = json!({ "schema": schema });
            }
            (status.to_string(), response)
        })
    }
}

/// Returns the responses to unknown paths and unsupported methods.
pub(super) fn unrouted() -> Map<String, Value> {
    let mut errors = ErrorResponses::default();
    errors.add(&[Code::RouteNotFound, Code::MethodNotAllowed]);
    errors.problems().map(|(_, name, response)| (name, response)).collect()
}

/// Converts `LIKE_THIS` to `LikeThis`.
fn camel_case(code: &str) -> String {
    code.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

fn refusal(codes: &Codes) -> Value {
    if codes.iter().eq([&Code::LicenseNotFound.as_str()]) {
        return named("NotFound");
    }
    let narrowed = json!({ "type": "object", "properties": { "error": one_of(codes.iter().copied()) } });
    json!({ "allOf": [named("Refusal"), narrowed] })
}

fn problem(status: u16, codes: &Codes) -> Value {
    let code = one_of(codes.iter().copied());
    let status = json!({ "type": "integer", "enum": [status] });
    let narrowed = json!({ "status": status, "code": code, "error": code });
    json!({ "allOf": [named("Problem"), { "type": "object", "properties": narrowed }] })
}

fn response(status: u16, codes: &Codes, content_type: &str, schema: Value) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}", meaning(code))).collect();
    let mut response =
        json!({ "description": lines.join("\n\n"), "content": { content_type: { "schema": schema } } });
    add_headers(
        &mut response,
        match status {
            401 | 403 => &["WWW-Authenticate"],
            405 => &["Allow"],
            429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
            503 => &["Retry-After"],
            _ => &[],
        },
    );
    response
}

pub(super) fn add_headers(response: &mut Value, names: &[&str]) {
    for name in names {
        response["headers"][*name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

pub(super) fn headers() -> Map<String, Value> {
    [
        ("ETag", matching("^\"[0-9A-Za-z_-]+\"$"), "Version of the license or plan, for If-Match, or of a list."),
        ("Location", string(), "URL of the new resource, relative to the request path."),
        ("Retry-After", count(), "Seconds after which to try again."),
        ("RateLimit", string(), "Remaining calls, and seconds until the quota is full, if the server limits rates: `\"token\";r=199;t=1` (draft-ietf-httpapi-ratelimit-headers-10)."),
        ("RateLimit-Policy", string(), "Quota and window: `\"token\";q=200;w=4` is 200 calls in 4 seconds."),
        ("WWW-Authenticate", matching("^Bearer"), "Challenge of RFC 6750."),
        ("Allow", string(), "Methods that the path supports."),
        ("X-Request-Id", string(), "Id of the request in the server's log and in the audit. An id that the caller sent is kept if it has 8 to 48 hex digits and hyphens."),
        (
            "Idempotent-Replayed",
            one_of(["true"]),
            "Sent if an earlier request with the same Idempotency-Key made the change.",
        ),
        ("Preference-Applied", one_of(["handling=lenient"]), "Sent if the call prefers lenient handling: unknown fields were ignored."),
        ("X-Next-Cursor", string(), "Cursor of the next page of a table; absent on the last page."),
        ("X-License-Store", one_of(["down"]), "Sent only while the store is down: the license is as last read."),
    ]
    .map(|(name, schema, description)| (name.to_owned(), about(json!({ "schema": schema }), description)))
    .into_iter()
    .collect()
}

fn meaning(code: &str) -> &'static str {
    if let Some(known) = Code::ALL.iter().find(|known| known.as_str() == code) {
        return known.meaning();
    }
    let meanings = [
        (DenialCode::LicenseRevoked, "The license was revoked."),
        (DenialCode::LicenseExpired, "The license has expired, and so has its grace period."),
        (DenialCode::DomainLimitReached, "The request names more domains than the license can have."),
        (DenialCode::LicenseStale, "The license has changed since the version in If-Match."),
        (DenialCode::IdempotencyKeyReused, "This Idempotency-Key was used for another request."),
        (DenialCode::LicensePerpetual, "The license never expires, so it cannot be renewed."),
        (DenialCode::ExpiryTooFar, "The license would expire after the last supported year."),
        (DenialCode::DomainExempt, "A domain of the list is always allowed and needs no slot."),
        (
            DenialCode::TooManyDomains,
            "The license has too many domains for one list; release them one by one.",
        ),
        (DenialCode::PlanUnknown, "There is no such plan; `detail` lists the plans."),
        (DenialCode::MetadataInvalid, "The merged metadata would exceed a limit."),
        (DenialCode::ExternalIdTaken, "Another license has this external id."),
        (
            DenialCode::TermNotStarted,
            "The first use of the license starts its term; it cannot be renewed before.",
        ),
        (DenialCode::GrantEnded, "The end of a grant is not in the future."),
        (DenialCode::GrantLimitReached, "The license has no room for another grant."),
        (DenialCode::GrantNotFound, "The license has no grant of this feature with this source."),
        (DenialCode::DomainBlocked, "A domain of the list is blocked; remove its block first."),
        (DenialCode::TooManyBlocks, "The license has as many blocks as it can have; remove one."),
        (DenialCode::PlanArchived, "The plan is archived; `detail` lists the available plans."),
        (DenialCode::ProductDiffers, "The plan is of another product. A license keeps its product."),
        (
            DenialCode::CustomerRequired,
            "Each customer can have the plan once, so the license needs a customer_email.",
        ),
        (DenialCode::TrialUsed, "The plan is a trial, and the customer had a trial of the product before."),
        (DenialCode::ActivationHeld, "A lease holds the slot, so that only the vendor can free it."),
    ];
    let found = meanings.into_iter().find(|(known, _)| known.as_str() == code);
    found.map_or("", |(_, meaning)| meaning)
}
