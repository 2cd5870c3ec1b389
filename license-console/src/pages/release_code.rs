//! Takes the release code of a machine without a network, and shows what it ended.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use license_core::access::{Actor, Scope};

use super::license_row;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "release_code.html")]
struct ReleaseCodePage {
    page: Page,
}

#[derive(Template)]
#[template(path = "released_lease.html")]
struct ReleasedLeasePage {
    page: Page,
    /// The license and its customer, if the visitor may read them.
    license: Option<ReleasedFrom>,
    /// When the slot of the device is free; `None` if it is free.
    free_at: Option<Moment>,
}

struct ReleasedFrom {
    id: String,
    name: String,
}

pub(crate) async fn ask(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    render(&ReleaseCodePage { page: Page::new(&visit, "Take back a lease", Section::Licenses) })
}

pub(crate) async fn release(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<impl IntoResponse, Failure> {
    let code = form.text("code").ok_or_else(|| Failure::field("Release code", "paste the whole code"))?;
    let returned = console.services.leases.hand_back_by_code(code, Actor::clone(&visitor.actor)).await?;
    render(&ReleasedLeasePage {
        page: Page::new(&visit, "Lease taken back", Section::Licenses),
        license: visitor.may(Scope::LicensesRead).then(|| ReleasedFrom {
            id: returned.license.id.to_string(),
            name: license_row::name(&returned.license),
        }),
        free_at: returned.free_at.map(|at| Moment::new(at, visit.now)),
    })
}
