//! What a call may be answered instead: each status with its codes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use license_core::verdict::DenialCode;
use utoipa::openapi::{AllOfBuilder, Content, Header, ObjectBuilder, Ref, RefOr, Response, Schema, Type};

use super::schema::{matching, named, one_of, string};
use crate::problem::Code;

/// The statuses of a route, and their codes.
#[derive(Clone, Default)]
pub(super) struct Faults(BTreeMap<u16, BTreeSet<&'static str>>);

impl Faults {
    pub(super) fn add(&mut self, codes: &[Code]) {
        for code in codes {
            self.0.entry(code.status().as_u16()).or_default().insert(code.as_str());
        }
    }

    pub(super) fn deny(&mut self, status: StatusCode, denials: &[DenialCode]) {
        self.0.entry(status.as_u16()).or_default().extend(denials.iter().map(|code| code.as_str()));
    }

    /// As problems of RFC 9457: those of a status that several routes have are told once, by the names of their codes.
    pub(super) fn problems(&self) -> impl Iterator<Item = (u16, String, Response)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let names: Vec<_> = codes.iter().map(|code| camel_case(code)).collect();
            (*status, names.join("Or"), problem(*status, codes))
        })
    }

    /// In the form of `/validate`.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (u16, Response)> + '_ {
        self.0.iter().map(|(status, codes)| {
            let mut response = answer(*status, codes, "application/json", refusal(codes));
            if *status == 503 {
                let overloaded = BTreeSet::from([Code::Overloaded.as_str()]);
                // Where no connection is free: said before it is known what is asked.
                let problem = problem(*status, &overloaded);
                response.content.extend(problem.content);
            }
            (*status, response)
        })
    }
}

/// What is answered where no route is.
pub(super) fn responses() -> BTreeMap<String, Response> {
    let mut faults = Faults::default();
    faults.add(&[Code::RouteNotFound, Code::MethodNotAllowed]);
    faults.problems().map(|(_, name, response)| (name, response)).collect()
}

/// `LIKE_THIS` as `LikeThis`.
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
    let mut response = answer(status, codes, "application/problem+json", schema);
    let always = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];
    response.headers.extend(always.map(|name| (name.to_owned(), header(name))));
    response
}

fn answer(
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

/// Every header that tells a caller something.
pub(super) fn headers() -> Vec<(&'static str, Header)> {
    let whole = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    [
        ("ETag", matching("^\"[0-9]+\"$"), "The version of the license, for If-Match."),
        ("Location", string(), "Where it is from now on, relative to the request's own path."),
        ("Retry-After", whole(), "Seconds after which to try again."),
        ("RateLimit", string(), "What remains of the rate, and in how many seconds it is whole again, where the server limits rates: `\"token\";r=199;t=1` (draft-ietf-httpapi-ratelimit-headers-10)."),
        ("RateLimit-Policy", string(), "The rate: `\"token\";q=200;w=4` is 200 calls in 4 seconds."),
        ("WWW-Authenticate", matching("^Bearer"), "The challenge of RFC 6750."),
        ("Allow", string(), "The methods that the path has."),
        ("X-Request-Id", string(), "The id of this request in the server's log and in the audit: the caller's own where it has sent one of 8 to 48 hex digits and hyphens."),
        ("X-License-Store", one_of(["down"]), "Only while the store does not answer: the license is as it was last read."),
    ]
    .into_iter()
    .map(|(name, schema, about)| {
        let mut header = Header::new(schema);
        header.description = Some(about.to_owned());
        (name, header)
    })
    .collect()
}

/// What a code means.
pub(super) fn meaning(code: &str) -> &'static str {
    if let Some(known) = Code::ALL.iter().find(|known| known.as_str() == code) {
        return known.meaning().trim_start();
    }
    match DenialCode::ALL.iter().find(|known| known.as_str() == code) {
        Some(DenialCode::LicenseRevoked) => "The license was revoked.",
        Some(DenialCode::LicenseSuspended) => "The license is suspended.",
        Some(DenialCode::LicenseExpired) => "The license's time, and its grace, have passed.",
        Some(DenialCode::DomainLimitReached) => "No slot is free for one more domain.",
        Some(DenialCode::DomainNotAllowed) => "The plan admits registered domains only, and this is none.",
        Some(DenialCode::DeviceLimitReached) => "No slot is free for one more device.",
        Some(DenialCode::ReleaseNotAllowed) => "The plan leaves it to the vendor to free slots.",
        Some(DenialCode::DomainRegistered) => {
            "The vendor has registered the domain, and alone can free its slot."
        }
        Some(DenialCode::LicenseStale) => "The license has changed since the version of If-Match.",
        Some(DenialCode::LicensePerpetual) => "The license never expires; there is nothing to renew.",
        Some(DenialCode::ExpiryTooFar) => {
            "The license would expire after the last year that a time can name."
        }
        Some(DenialCode::DomainExempt) => "A domain of the list is always allowed and takes no slot.",
        Some(DenialCode::TooManyDomains) => {
            "The license has more domains than one list may hold; release them one by one."
        }
        Some(DenialCode::PlanUnknown) => "There is no such plan.",
        _ => "",
    }
}
