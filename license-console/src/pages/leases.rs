//! Leases: those of a license, and a new one for a request code.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::license::{Lease, LeaseEnd, LeaseId, License};
use license_core::service::{LeaseAnswer, LeaseLimit};
use license_core::store::PageRequest;

use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::Form;
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::qr::QrPath;
use crate::visit::SignedIn;

const LEASES: u32 = 20;

/// The leases of a license.
pub(super) struct Leases {
    pub(super) rows: Vec<LeaseRow>,
    pub(super) next: Option<LeaseId>,
    /// Number of leases that software still accepts although they ended, or the license is not good.
    pub(super) outstanding: usize,
    /// When the last of them is over.
    pub(super) over: Option<Moment>,
}

/// A lease as a row.
pub(super) struct LeaseRow {
    pub(super) id: String,
    pub(super) device: String,
    pub(super) state: &'static str,
    pub(super) issued: Moment,
    pub(super) ends: Moment,
}

impl Leases {
    pub(super) async fn of(
        console: &Shared,
        license: &License,
        after: Option<LeaseId>,
        now: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let found = console.services.leases.list(&license.id, &PageRequest { after, limit: LEASES }).await?;
        let outstanding = console.services.leases.outstanding(license).await?;
        let over = outstanding.iter().map(Lease::accepted_until).max();
        Ok(Self {
            rows: found.items.iter().map(|lease| LeaseRow::new(lease, now)).collect(),
            next: found.next,
            outstanding: outstanding.len(),
            over: over.map(|at| Moment::new(at, now)),
        })
    }
}

impl LeaseRow {
    fn new(lease: &Lease, now: DateTime<Utc>) -> Self {
        let state = match lease.ended {
            Some((LeaseEnd::Revoked, _)) => "revoked",
            Some((LeaseEnd::Returned, _)) => "returned",
            None if lease.is_open(now) => "active",
            None => "over",
        };
        Self {
            id: lease.id.as_str().to_owned(),
            device: lease.device.as_str().to_owned(),
            state,
            issued: Moment::new(lease.issued_at, now),
            ends: Moment::new(lease.expires_at, now),
        }
    }
}

#[derive(Template)]
#[template(path = "lease.html")]
struct LeasePage {
    page: Page,
}

#[derive(Template)]
#[template(path = "lease_issued.html")]
struct LeaseIssuedPage<'a> {
    page: Page,
    license_id: String,
    ends: Moment,
    /// Why the lease is shorter than the request.
    limited: Option<&'static str>,
    file: &'a str,
    /// The file as the address of a download.
    download: String,
    qr: Option<QrPath>,
}

pub(crate) async fn ask(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    render(&LeasePage { page: Page::new(&visit, "Issue a lease", Section::Licenses) })
}

pub(crate) async fn issue(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let code = form.text("request").ok_or_else(|| Failure::field("Request code", "paste the whole code"))?;
    let days = form.parsed("days", "Days", |text| {
        text.parse::<u32>().ok().filter(|days| *days > 0).ok_or("must be a whole number of at least 1")
    })?;
    let lease = match console.services.leases.issue_by_code(code, days, &visitor.actor).await? {
        LeaseAnswer::Lease(lease) => lease,
        LeaseAnswer::NotFound => return Err(Failure::unknown_key()),
        LeaseAnswer::Denied(denied) => return Err(Failure::denied(denied.reason())),
    };
    let limited = lease.limited_by.as_ref().map(|limit| match limit {
        LeaseLimit::Plan => "The plan allows fewer days than you asked for.",
        LeaseLimit::License => "The license ends earlier.",
    });
    let encoded: String = form_urlencoded::byte_serialize(lease.file.as_bytes()).collect();
    let html = render(&LeaseIssuedPage {
        page: Page::new(&visit, "Lease issued", Section::Licenses),
        license_id: lease.license.id.to_string(),
        ends: Moment::new(lease.lease.expires_at, visit.now),
        limited,
        file: &lease.file,
        // A form has + for a space, and an address does not.
        download: format!("data:text/plain,{}", encoded.replace('+', "%20")),
        qr: QrPath::new(&lease.file),
    })?;
    Ok(html.into_response())
}
