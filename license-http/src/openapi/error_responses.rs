//! Error responses: each status with its codes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use license_core::validation::DenialCode;
use utoipa::openapi::{AllOfBuilder, Content, Header, ObjectBuilder, Ref, RefOr, Response, Schema, Type};

use super::schema::{count, matching, named, one_of, string};
use crate::problem::Code;

/// The error statuses of a route, and their codes.
#[derive(Clone, Default)]
pub(super) struct ErrorResponses(BTreeMap<u16, BTreeSet<&'static str>>);

impl ErrorResponses {
    pub(super) fn add(&mut self, codes: &[Code]) {
        for code in codes {
            self.0.entry(code.status().as_u16()).or_default().insert(code.as_str());
        }
    }

    pub(super) fn deny(&mut self, status: StatusCode, denials: &[DenialCode]) {
        self.0.entry(status.as_u16()).or_default().extend(denials.iter().map(|code| code.as_str()));
    }

    /// Returns problem details. The name is made of the codes, so that routes with the same codes share a
    /// response.
    pub(super) fn problems(&self) -> impl Iterator<Item = (u16, String, Response)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let names: Vec<_> = codes.iter().map(|code| camel_case(code)).collect();
            (*status, names.join("Or"), problem(*status, codes))
        })
    }

    /// Returns responses in the form of `/validate`.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (u16, Response)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let mut response = response(*status, codes, "application/json", refusal(codes));
            if *status == 503 {
                // Without a free connection, the server answers before it knows the path.
                let overloaded = BTreeSet::from([Code::Overloaded.as_str()]);
                response.content.extend(problem(*status, &overloaded).content);
            }
            (*status, response)
        })
    }
}

/// Returns the responses to unknown paths and unsupported methods.
pub(super) fn unrouted() -> BTreeMap<String, Response> {
    let mut errors = ErrorResponses::default();
    errors.add(&[Code::RouteNotFound, Code::MethodNotAllowed]);
    errors.problems().map(|(_, name, response)| (name, response)).collect()
}

/// Converts `LIKE_THIS` to `LikeThis`.
fn camel_case(code: &str) -> String {
    let word = |word: &str| {
        word.get(..1).unwrap_or_default().to_owned() + &word.get(1..).unwrap_or_default().to_lowercase()
    };
    code.split('_').map(word).collect()
}

fn refusal(codes: &BTreeSet<&'static str>) -> RefOr<Schema> {
    if codes.iter().eq([Code::LicenseNotFound.as_str()].iter()) {
        return named("NotFound");
    }
    let narrowed =
        ObjectBuilder::new().schema_type(Type::Object).property("error", one_of(codes.iter().copied()));
    AllOfBuilder::new().item(named("Refusal")).item(narrowed).into()
}

fn problem(status: u16, codes: &BTreeSet<&'static str>) -> Response {
    let code = || one_of(codes.iter().copied());
    let narrowed = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status])))
        .property("code", code())
        .property("error", code());
    let schema: RefOr<Schema> = AllOfBuilder::new().item(named("Problem")).item(narrowed).into();
    let mut response = response(status, codes, "application/problem+json", schema);
    let always = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];
    response.headers.extend(always.map(|name| (name.to_owned(), header(name))));
    response
}

fn response(
    status: u16,
    codes: &BTreeSet<&'static str>,
    content_type: &str,
    schema: RefOr<Schema>,
) -> Response {
    let lines: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}", meaning(code))).collect();
    let mut response = Response::new(lines.join("\n\n"));
    let names: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    };
    response.content.insert(content_type.to_owned(), Content::new(Some(schema)).into());
    response.headers.extend(names.iter().map(|name| ((*name).to_owned(), header(name))));
    response
}

pub(super) fn header(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

/// Returns the headers that responses may have.
pub(super) fn headers() -> Vec<(&'static str, Header)> {
    [
        ("ETag", matching("^\"[0-9]+\"$"), "Version of the license, for If-Match."),
        ("Location", string(), "URL of the new resource, relative to the request path."),
        ("Retry-After", count(), "Seconds after which to try again."),
        ("RateLimit", string(), "Remaining calls, and seconds until the quota is full, if the server limits rates: `\"token\";r=199;t=1` (draft-ietf-httpapi-ratelimit-headers-10)."),
        ("RateLimit-Policy", string(), "Quota and window: `\"token\";q=200;w=4` is 200 calls in 4 seconds."),
        ("WWW-Authenticate", matching("^Bearer"), "Challenge of RFC 6750."),
        ("Allow", string(), "Methods that the path supports."),
        ("X-Request-Id", string(), "Id of the request in the server's log and in the audit. An id that the caller sent is kept if it has 8 to 48 hex digits and hyphens."),
        ("X-License-Store", one_of(["down"]), "Sent only while the store is down: the license is as last read."),
    ]
    .into_iter()
    .map(|(name, schema, about)| {
        let mut header = Header::new(schema);
        header.description = Some(about.to_owned());
        (name, header)
    })
    .collect()
}

/// Returns the meaning of a code.
pub(super) fn meaning(code: &str) -> &'static str {
    if let Some(known) = Code::ALL.iter().find(|known| known.as_str() == code) {
        return known.meaning();
    }
    match DenialCode::ALL.iter().find(|known| known.as_str() == code) {
        Some(DenialCode::LicenseRevoked) => "The license was revoked.",
        Some(DenialCode::LicenseSuspended) => "The license is suspended.",
        Some(DenialCode::LicenseExpired) => "The license has expired, and so has its grace period.",
        Some(DenialCode::DomainLimitReached) => "All domain slots are in use.",
        Some(DenialCode::DomainNotAllowed) => {
            "The plan allows registered domains only, and this domain is not registered."
        }
        Some(DenialCode::DeviceLimitReached) => "All device slots are in use.",
        Some(DenialCode::ReleaseNotAllowed) => "The plan allows only the vendor to release slots.",
        Some(DenialCode::DomainRegistered) => "Only the vendor can release a registered domain.",
        Some(DenialCode::LicenseStale) => "The license has changed since the version in If-Match.",
        Some(DenialCode::LicensePerpetual) => "The license never expires, so it cannot be renewed.",
        Some(DenialCode::ExpiryTooFar) => "The license would expire after the last supported year.",
        Some(DenialCode::DomainExempt) => "A domain of the list is always allowed and needs no slot.",
        Some(DenialCode::TooManyDomains) => {
            "The license has too many domains for one list; release them one by one."
        }
        Some(DenialCode::PlanUnknown) => "There is no such plan.",
        _ => "",
    }
}
