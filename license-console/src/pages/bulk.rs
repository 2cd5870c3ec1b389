//! Asks for an action on many licenses, shows what it would do, and starts the job.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use license_core::bulk::BulkAction;
use license_core::catalog::PlanCatalog;
use license_core::license::Reason;
use license_core::service::{BulkDryRun, BulkRequest};

use super::choice::Choice;
use super::issue::gives;
use super::license_row::LicenseRow;
use super::{confirm, once, see_other};
use crate::bulk_action::{confirmation, effect, label, why};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::numbers::{counted, grouped};
use crate::page::{Page, Section, render};
use crate::selection::Selection;
use crate::visit::{SignedIn, Visit};

/// Asks for the plan to move to.
#[derive(Template)]
#[template(path = "bulk_plan.html")]
struct ChoosePlan {
    page: Page,
    plans: Vec<Choice>,
    /// The selected licenses, as hidden fields.
    fields: Vec<(&'static str, String)>,
    back: String,
}

/// Shows what the job would do, with the form that starts it.
#[derive(Template)]
#[template(path = "bulk.html")]
struct Preview {
    page: Page,
    label: String,
    effect: &'static str,
    /// What the new plan gives.
    plan: Option<String>,
    matched: String,
    /// Set if the action was not decided on all licenses.
    decided: Option<String>,
    changed: String,
    unchanged: String,
    denied: Vec<(String, &'static str)>,
    /// The filter, if the job takes all licenses that match one.
    filter: Option<Vec<(&'static str, String)>>,
    rows: Vec<LicenseRow>,
    word: Option<&'static str>,
    fields: Vec<(&'static str, String)>,
    back: String,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<Response, Failure> {
    let selection = Selection::read(&query)?;
    let plans = console.services.licenses.plans();
    if query.text("action") == Some("move_plan") && query.text("to").is_none() {
        return Ok(choose_plan(&visit, &selection, &plans)?.into_response());
    }
    let action = action(&query)?;
    let licenses = selection.licenses(0);
    let found = console.services.bulk.dry_run(&action, licenses, None, None).await?;
    Ok(render(&Preview::new(&visit, &action, &selection, &found, &plans)?)?.into_response())
}

pub(crate) async fn start(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let (selection, action) = (Selection::read(&form)?, action(&form)?);
    if let Some(word) = confirmation(&action) {
        confirm::check(&form, word)?;
    }
    let reason = form.parsed("reason", "Reason", Reason::parse)?;
    let expect = form.parsed("expect", "Licenses", str::parse)?.unwrap_or_default();
    let request = BulkRequest { action, licenses: selection.licenses(expect), reason };
    let started =
        console.services.bulk.create(request, Some(&visitor.actor), Some(&once::key(&form)?)).await?;
    Ok(see_other(visit.url(&format!("/jobs/{}", started.job.id))))
}

fn action(form: &Form) -> Result<BulkAction, Failure> {
    let to = form.text("to").map(str::to_owned);
    let action = form.text("action").and_then(|name| BulkAction::named(name, to));
    action.ok_or_else(|| Failure::field("Action", "choose one in the list of licenses"))
}

fn choose_plan(
    visit: &Visit,
    selection: &Selection,
    plans: &PlanCatalog,
) -> Result<impl IntoResponse, Failure> {
    let sold = plans.entries().filter(|entry| entry.is_available());
    let plans = sold.map(|entry| Choice {
        value: entry.name.clone(),
        label: format!("{}: {}", entry.name, gives(&entry.current().plan)),
        is_chosen: false,
    });
    let fields = selection.fields().into_iter().chain([("action", "move_plan".to_owned())]);
    render(&ChoosePlan {
        page: Page::new(visit, "Move licenses to a plan", Section::Licenses),
        plans: plans.collect(),
        fields: fields.collect(),
        back: visit.url(&selection.list()),
    })
}

impl Preview {
    fn new(
        visit: &Visit,
        action: &BulkAction,
        selection: &Selection,
        found: &BulkDryRun,
        plans: &PlanCatalog,
    ) -> Result<Self, Failure> {
        let BulkDryRun { matched, decided, changed, unchanged, denied, sample } = found;
        let title = format!("{}: {}", label(action), counted(*matched, "license"));
        let plan = action.plan().and_then(|name| plans.entry(name));
        let mut fields = selection.fields();
        fields.push(("action", action.name().to_owned()));
        fields.extend(action.plan().map(|plan| ("to", plan.to_owned())));
        fields.push(("expect", matched.to_string()));
        fields.push(("once", once::new()?));
        let denied = denied.iter().map(|(code, count)| (counted(*count, "license"), why(*code)));
        Ok(Self {
            page: Page::new(visit, title, Section::Licenses),
            label: label(action),
            effect: effect(action),
            plan: plan.map(|entry| {
                format!("version {}, {}", entry.current().version, gives(&entry.current().plan))
            }),
            matched: counted(*matched, "license"),
            decided: (decided < matched).then(|| grouped(*decided)),
            changed: counted(*changed, "license"),
            unchanged: counted(*unchanged, "license"),
            denied: denied.collect(),
            filter: match selection {
                Selection::Ids(_) => None,
                Selection::Matching(filters) => Some(filters.described()),
            },
            rows: sample.iter().map(|license| LicenseRow::new(&license.detail, visit.now)).collect(),
            word: confirmation(action),
            fields,
            back: visit.url(&selection.list()),
        })
    }
}
