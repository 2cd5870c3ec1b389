//! One license.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse};
use chrono::{DateTime, Utc};
use license_core::access::{AuditFilter, Scope};
use license_core::catalog::FeatureValue;
use license_core::license::{ActivationId, ActivationKind, LeaseId, License, LicenseId, LicenseState};
use license_core::service::KeyedLicense;
use license_core::store::{EventFilter, PageRequest};
use license_core::usage::ActivationDetail;

use super::audit_row::AuditRow;
use super::blocks::BlockRow;
use super::grants::{GrantRow, value_text};
use super::history::Happened;
use super::leases::Leases;
use super::license_usage::LicenseUsage;
use super::visible_key;
use super::{license_row, notice};
use crate::action::Action;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::Query;
use crate::moment::Moment;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

const SLOTS: u32 = 50;
const EVENTS: u32 = 15;
const ENTRIES: u32 = 10;

/// The pages of its lists start after these.
#[derive(Debug, Default)]
pub(super) struct After {
    slot: Option<ActivationId>,
    lease: Option<LeaseId>,
}

#[derive(Template)]
#[template(path = "license.html")]
struct LicensePage {
    page: Page,
    facts: Facts,
    /// Only after the visitor asked for it.
    key: Option<String>,
    masked_key: String,
    meters: Vec<Meter>,
    slots: Vec<Slot>,
    more_slots: Option<String>,
    grants: Vec<GrantRow>,
    blocks: Vec<BlockRow>,
    leases: Leases,
    more_leases: Option<String>,
    usage: Option<LicenseUsage>,
    events: Vec<Happened>,
    audit: Option<Vec<AuditRow>>,
    actions: Vec<Action>,
}

/// What is known of a license.
struct Facts {
    id: String,
    name: String,
    customer_name: String,
    has_customer: bool,
    status: &'static str,
    state_reason: String,
    plan: String,
    product: String,
    created: Moment,
    expires: Option<Moment>,
    updates_until: Option<Moment>,
    external_id: String,
    features: Vec<String>,
    metadata: Vec<(String, String)>,
    validations: String,
    last_validated: Option<Moment>,
    /// Whether its fields and its key can be changed: it is not revoked.
    may_change: bool,
}

/// Used slots of one kind.
struct Meter {
    label: &'static str,
    used: u64,
    text: String,
    limit: Option<u32>,
    is_full: bool,
}

/// What holds a slot.
struct Slot {
    id: String,
    name: String,
    value: String,
    kind: &'static str,
    since: Moment,
    /// Set while leases hold the slot.
    leased_until: Option<Moment>,
    last_seen: Option<Moment>,
    country: String,
    validations: String,
}

pub(crate) async fn license(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let license = find(&console, &id).await?;
    let after = After {
        slot: query.parsed("slots_after", "Page", ActivationId::parse)?,
        lease: query.parsed("leases_after", "Page", LeaseId::parse)?,
    };
    let notice = query.text("done").and_then(notice::of_license);
    show(&console, &visit, &license, after, notice, None).await
}

/// Finds a license by the id in a URL.
pub(super) async fn find(console: &Shared, id: &str) -> Result<KeyedLicense, Failure> {
    let id = LicenseId::parse(id).map_err(|_| Failure::page_not_found())?;
    Ok(console.services.licenses.get(&id).await?)
}

/// Renders the page of a license, with its key if it is given.
pub(super) async fn show(
    console: &Shared,
    visit: &Visit,
    license: &KeyedLicense,
    after: After,
    notice: Option<&'static str>,
    key: Option<String>,
) -> Result<Html<String>, Failure> {
    let (now, found) = (visit.now, &license.detail.license);
    let page = PageRequest { after: after.slot, limit: SLOTS };
    let slots = console.services.activations.list(&found.id, None, &page).await?;
    let filter = EventFilter { license_id: Some(found.id.clone()), ..EventFilter::default() };
    let events = console.services.events.list(&filter, &PageRequest { after: None, limit: EVENTS }).await?;
    let more = slots.next.map(|next| visit.url(&format!("/licenses/{}?slots_after={next}", found.id)));
    let leases = Leases::of(console, found, after.lease, now).await?;
    let more_leases =
        leases.next.as_ref().map(|next| visit.url(&format!("/licenses/{}?leases_after={next}", found.id)));
    let may = |scope| visit.visitor.as_ref().is_some_and(|visitor| visitor.may(scope));
    let usage =
        if may(Scope::UsageRead) { Some(LicenseUsage::of(console, &found.id, now).await?) } else { None };
    let audit = if may(Scope::AuditRead) { Some(audit(console, &found.id, now).await?) } else { None };
    let title = license_row::name(found);
    render(&LicensePage {
        page: Page::new(visit, title, Section::Licenses).with_notice(notice),
        facts: Facts::new(console, license, now),
        key,
        masked_key: visible_key::masked(license.key.reveal()),
        meters: [("Domains", ActivationKind::Domain), ("Devices", ActivationKind::Device)]
            .map(|(label, kind)| Meter::new(label, found, kind))
            .into(),
        slots: slots.items.iter().map(|slot| Slot::new(slot, now)).collect(),
        more_slots: more,
        grants: found.grants.iter().map(|grant| GrantRow::new(grant, now)).collect(),
        blocks: found.blocks.iter().map(|block| BlockRow::new(block, now)).collect(),
        leases,
        more_leases,
        usage,
        audit,
        events: events.items.iter().map(|sequenced| Happened::new(&sequenced.event, now)).collect(),
        actions: Action::ALL.into_iter().filter(|action| action.fits(found.state)).collect(),
    })
}

/// Returns the latest entries of the audit.
async fn audit(console: &Shared, id: &LicenseId, now: DateTime<Utc>) -> Result<Vec<AuditRow>, Failure> {
    let filter = AuditFilter { license_id: Some(id.clone()), ..AuditFilter::default() };
    let found = console.services.access.audit(&filter, &PageRequest { after: None, limit: ENTRIES }).await?;
    Ok(found.items.iter().map(|audited| AuditRow::new(audited, now)).collect())
}

impl Facts {
    fn new(console: &Shared, KeyedLicense { detail, .. }: &KeyedLicense, now: DateTime<Utc>) -> Self {
        let license = &detail.license;
        let plans = console.services.licenses.plans();
        let plan = plans.version(&license.plan, license.plan_version);
        let feature = |(name, value): (_, &FeatureValue)| match value {
            FeatureValue::Bool(true) => name,
            value => format!("{name}: {}", value_text(value)),
        };
        let metadata = license.metadata.as_map().iter().map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        Self {
            id: license.id.to_string(),
            name: license_row::name(license),
            has_customer: license.customer_email.is_some(),
            customer_name: license
                .customer_name
                .as_ref()
                .map(|name| name.as_str().to_owned())
                .unwrap_or_default(),
            status: license.status(now).as_str(),
            state_reason: license
                .state_reason
                .as_ref()
                .map(|why| why.as_str().to_owned())
                .unwrap_or_default(),
            plan: license.plan.clone(),
            product: license.product.clone(),
            created: Moment::new(license.created_at, now),
            expires: license.expires_at.map(|at| Moment::new(at, now)),
            updates_until: license.updates_until.map(|at| Moment::new(at, now)),
            external_id: license.external_id.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            features: plan
                .map(|plan| {
                    plan.features
                        .iter()
                        .map(|(name, value)| feature((name.as_str().to_owned(), value)))
                        .collect()
                })
                .unwrap_or_default(),
            metadata: metadata.collect(),
            validations: grouped(detail.counters.validation_count),
            last_validated: detail.counters.last_validated_at.map(|at| Moment::new(at, now)),
            may_change: license.state != LicenseState::Revoked,
        }
    }
}

impl Meter {
    fn new(label: &'static str, license: &License, kind: ActivationKind) -> Self {
        let slots = license.slots(kind);
        let limit = slots.limit.as_number();
        let used = grouped(slots.used);
        let text = match limit {
            Some(limit) => format!("{used} of {}", grouped(limit.into())),
            None => format!("{used}, no limit"),
        };
        Self { label, used: slots.used, text, limit, is_full: slots.used > 0 && !slots.has_free() }
    }
}

impl Slot {
    fn new(ActivationDetail { activation, last_seen }: &ActivationDetail, now: DateTime<Utc>) -> Self {
        let value = activation.binding.value().to_owned();
        let label = activation.label.as_ref().map(|label| label.as_str().to_owned());
        Self {
            id: activation.id.as_str().to_owned(),
            name: label.unwrap_or_else(|| value.clone()),
            value,
            kind: activation.binding.kind().as_str(),
            since: Moment::new(activation.created_at, now),
            leased_until: activation
                .held_until
                .filter(|_| activation.is_held(now))
                .map(|until| Moment::new(until, now)),
            last_seen: last_seen.last_seen_at.map(|at| Moment::new(at, now)),
            country: last_seen.country.map(|country| country.to_string()).unwrap_or_default(),
            validations: grouped(last_seen.validations),
        }
    }
}
