//! Licenses to search among, and the filters to search with.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use license_core::catalog::Limit;
use license_core::domain::DomainName;
use license_core::license::{
    Activation, ActivationId, Binding, CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint,
    License, LicenseDetail, LicenseState, Metadata, Status,
};
use license_core::store::{SearchFilter, SearchRange, SearchSort};
use license_core::usage::Day;
use serde_json::json;

use crate::fill::{LicenseGenerator, RawConnection, device};

/// Days from the first license to the last.
const DAYS: i32 = 700;
/// Numbers of a batch of keys that are not sold yet, in each million.
const UNSOLD: std::ops::Range<usize> = 950_000..1_000_000;
const NAMES: [&str; 16] = [
    "ada", "alan", "anna", "ben", "carl", "dora", "emil", "finn", "grace", "hana", "ida", "jon", "kim",
    "lena", "mira", "noor",
];
const MAIL: [&str; 3] = ["gmail.com", "outlook.com", "qq.com"];

/// Returns a number that looks random (splitmix64).
fn random(n: usize) -> usize {
    let mixed = (n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits")
}

/// The address of the customer of a license: each has five of them, spread over the years.
fn email(number: usize) -> CustomerEmail {
    let customer = random(number) % 200_000;
    let host = match customer % 10 {
        0..=3 => MAIL[customer % 3].to_owned(),
        _ => format!("company{}.example", customer % 20_000),
    };
    let name = NAMES[random(customer) % NAMES.len()];
    CustomerEmail::parse(&format!("{name}{customer}@{host}")).expect("an address")
}

pub(crate) fn external_id(number: usize) -> ExternalId {
    ExternalId::parse(&format!("sub_{number}")).expect("an external id")
}

/// Gives a license realistic values. A term is 30 days, a year or perpetual; a few are suspended or revoked.
fn shape(n: usize, license: &mut License, activations: &mut Vec<Activation>) {
    let hash = random(n);
    let of = |count: usize, salt: usize| random(hash + salt) % count;
    license.customer_email = Some(email(n));
    license.external_id = Some(external_id(n));
    ["default", "default", "default", "editor", "server"][of(5, 1)].clone_into(&mut license.product);
    if of(10_000, 2) == 0 {
        "nonprofit".clone_into(&mut license.plan);
    }
    license.state = match of(100, 3) {
        0..=1 => LicenseState::Suspended,
        2..=4 => LicenseState::Revoked,
        _ => LicenseState::Active,
    };
    license.expires_at = match of(10, 4) {
        0..=1 => None,
        2 => Some(license.created_at + Duration::days(30)),
        _ => Some(license.created_at + Duration::days(365)),
    };
    let channel = ["web", "web", "web", "partner", "shop"][of(5, 5)];
    let notes = json!({"order": format!("A-{n}"), "channel": channel});
    license.metadata = Metadata::from_json(notes).expect("metadata");
    license.max_devices = Limit::from(3_u32);
    license.max_domains = Limit::Unlimited;
    if of(100, 6) < 10 || UNSOLD.contains(&(n % 1_000_000)) {
        license.activated_at = None;
        activations.clear();
    } else {
        let devices = 1 + of(3, 7);
        activations.extend((0..devices).map(|one| {
            let suffix = license.id.as_str().trim_start_matches("lic_");
            Activation {
                id: ActivationId::parse(&format!("act_{suffix}_{:010}", 100 + one)).expect("an id"),
                binding: Binding::Device(device(n * 3 + one)),
                created_at: license.created_at,
                label: None,
                held_until: None,
                is_returned: false,
            }
        }));
    }
    let used =
        |kind: fn(&Binding) -> bool| activations.iter().filter(|one| kind(&one.binding)).count() as u64;
    license.devices_used = used(|binding| matches!(binding, Binding::Device(_)));
    license.domains_used = used(|binding| matches!(binding, Binding::Domain(_)));
}

/// Fills a database with `count` licenses, the last one issued now. Of the activated ones, 60 % had their
/// last validation in the last week.
pub(crate) async fn fill(raw: &mut RawConnection, count: usize, now: DateTime<Utc>) {
    let step = Duration::days(DAYS.into()) / i32::try_from(count).expect("small");
    let mut generator = LicenseGenerator::shaped(now - Duration::days(DAYS.into()), step, shape);
    raw.fill(&mut generator, count, 1).await;
    let members = match raw {
        RawConnection::Sqlite(_) => "json_each(l.metadata)",
        RawConnection::Postgres(_) => "json_each_text(CAST(l.metadata AS json))",
    };
    raw.execute(&format!(
        "INSERT INTO license_metadata SELECT m.key, m.value, l.id FROM licenses l, {members} m ORDER BY 1, 2, 3"
    ))
    .await;
    let (now, step) = (now.timestamp_micros(), step.num_microseconds().expect("small"));
    raw.execute(&format!(
        "INSERT INTO license_counters SELECT id, 5, at, at / 86400000000 FROM (SELECT id, \
         CASE WHEN n % 10 < 6 THEN {now} - n * 7919 % 7 * 86400000000 \
         ELSE created_at + ({now} - created_at) / 1000 * (n * 7919 % 1000) END AS at \
         FROM (SELECT id, created_at, created_at / {step} AS n FROM licenses WHERE activated_at IS NOT NULL) \
         AS numbered) AS validated ORDER BY id"
    ))
    .await;
    raw.settle().await;
}

fn range<T>(from: Option<T>, before: Option<T>) -> SearchRange<T> {
    SearchRange { from, before }
}

/// A search to measure.
pub(crate) struct Search {
    pub(crate) name: &'static str,
    pub(crate) filter: SearchFilter,
    pub(crate) sort: SearchSort,
}

fn none() -> SearchFilter {
    SearchFilter::default()
}

fn prefix(text: &str) -> Option<EmailPrefix> {
    EmailPrefix::parse(text).ok()
}

fn host(text: &str) -> Option<EmailDomain> {
    EmailDomain::parse(text).ok()
}

fn noted(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

/// Returns each single filter with many and with few licenses, each sort, and some pairs. `detail` is a
/// license of the database, with a domain and a device.
pub(crate) fn searches(detail: &LicenseDetail, now: DateTime<Utc>) -> Vec<Search> {
    let newest = |(name, filter)| Search { name, filter, sort: SearchSort::NewestFirst };
    let mut all: Vec<_> = single(detail, now).into_iter().map(newest).collect();
    all.extend(sorted(now));
    all.extend(pairs(now).into_iter().map(newest));
    all
}

fn single(detail: &LicenseDetail, now: DateTime<Utc>) -> Vec<(&'static str, SearchFilter)> {
    let one = &*detail.license;
    let [domain, device] = [&detail.domains[0].binding, &detail.devices[0].binding];
    let day = |days: i64| Day::of(now - Duration::days(days));
    let time = |days: i64| now - Duration::days(days);
    let order = one.metadata.as_map()["order"].as_str().expect("a text");
    let expired = SearchRange { from: None, before: Some(now) };
    vec![
        ("none", none()),
        ("key", SearchFilter { key: Some(one.key_digest), ..none() }),
        ("external_id", SearchFilter { external_id: one.external_id.clone(), ..none() }),
        ("customer_email", SearchFilter { customer_email: one.customer_email.clone(), ..none() }),
        ("email_prefix \"ada17\"", SearchFilter { email_prefix: prefix("ada17"), ..none() }),
        ("email_prefix \"ada\"", SearchFilter { email_prefix: prefix("ada"), ..none() }),
        ("email_prefix \"a\"", SearchFilter { email_prefix: prefix("a"), ..none() }),
        ("email_domain of a company", SearchFilter { email_domain: host("company17.example"), ..none() }),
        ("email_domain gmail.com", SearchFilter { email_domain: host("gmail.com"), ..none() }),
        ("domain", SearchFilter { domain: DomainName::parse(domain.value()).ok(), ..none() }),
        ("fingerprint", SearchFilter { fingerprint: Fingerprint::parse(device.value()).ok(), ..none() }),
        ("metadata, one order", SearchFilter { metadata: noted("order", order), ..none() }),
        ("metadata, a channel", SearchFilter { metadata: noted("channel", "web"), ..none() }),
        ("product", SearchFilter { product: Some("server".to_owned()), ..none() }),
        ("plan of many", SearchFilter { plan: Some("starter".to_owned()), ..none() }),
        ("plan of few", SearchFilter { plan: Some("nonprofit".to_owned()), ..none() }),
        ("status active", SearchFilter { status: Some(Status::Active), ..none() }),
        ("status expired", SearchFilter { status: Some(Status::Expired), ..none() }),
        ("status suspended", SearchFilter { status: Some(Status::Suspended), ..none() }),
        ("status revoked", SearchFilter { status: Some(Status::Revoked), ..none() }),
        ("expires_before now", SearchFilter { expires: expired, ..none() }),
        ("expires_after now", SearchFilter { expires: range(Some(now), None), ..none() }),
        ("expires last month", SearchFilter { expires: range(Some(time(30)), Some(now)), ..none() }),
        ("expires in an hour", {
            let hour = range(Some(time(100)), Some(time(100) + Duration::hours(1)));
            SearchFilter { expires: hour, ..none() }
        }),
        ("never_activated", SearchFilter { never_activated: Some(true), ..none() }),
        ("never_activated: false", SearchFilter { never_activated: Some(false), ..none() }),
        ("at_limit", SearchFilter { at_limit: Some(true), ..none() }),
        ("at_limit: false", SearchFilter { at_limit: Some(false), ..none() }),
        (
            "last_validated_before a year ago",
            SearchFilter { last_validated: range(None, Some(day(365))), ..none() },
        ),
        (
            "last_validated_before last week",
            SearchFilter { last_validated: range(None, Some(day(7))), ..none() },
        ),
        (
            "last_validated_after last week",
            SearchFilter { last_validated: range(Some(day(7)), None), ..none() },
        ),
        (
            "last_validated on a day",
            SearchFilter { last_validated: range(Some(day(20)), Some(day(19))), ..none() },
        ),
    ]
}

fn sorted(now: DateTime<Utc>) -> Vec<Search> {
    let mut all = Vec::new();
    let mut add = |name, sort, filter| all.push(Search { name, filter, sort });
    let expired = SearchRange { from: None, before: Some(now) };
    for (title, filter) in [
        ("none", none()),
        ("product", SearchFilter { product: Some("server".to_owned()), ..none() }),
        ("plan of many", SearchFilter { plan: Some("starter".to_owned()), ..none() }),
        ("plan of few", SearchFilter { plan: Some("nonprofit".to_owned()), ..none() }),
        ("status active", SearchFilter { status: Some(Status::Active), ..none() }),
        ("status expired", SearchFilter { status: Some(Status::Expired), ..none() }),
        ("status revoked", SearchFilter { status: Some(Status::Revoked), ..none() }),
    ] {
        for sort in [SearchSort::OldestFirst, SearchSort::EarliestEnd, SearchSort::LatestEnd] {
            add(title, sort, filter.clone());
        }
    }
    for sort in [SearchSort::EarliestEnd, SearchSort::LatestEnd] {
        add("expires_after now", sort, SearchFilter { expires: range(Some(now), None), ..none() });
        add("expires_before now", sort, SearchFilter { expires: expired, ..none() });
    }
    all
}

fn pairs(now: DateTime<Utc>) -> Vec<(&'static str, SearchFilter)> {
    let half_a_year = now - Duration::days(180);
    let year = Day::of(now - Duration::days(365));
    let active = SearchFilter { status: Some(Status::Active), ..none() };
    let ended = SearchFilter { status: Some(Status::Expired), ..none() };
    vec![
        ("plan + expired", SearchFilter { plan: Some("starter".to_owned()), ..ended.clone() }),
        ("email_prefix \"ada\" + active", SearchFilter { email_prefix: prefix("ada"), ..active.clone() }),
        (
            "product + at_limit",
            SearchFilter { product: Some("server".to_owned()), at_limit: Some(true), ..none() },
        ),
        (
            "metadata, a channel + expired",
            SearchFilter { metadata: noted("channel", "web"), ..ended.clone() },
        ),
        (
            "email_domain + never_activated",
            SearchFilter { email_domain: host("gmail.com"), never_activated: Some(true), ..none() },
        ),
        (
            "active + last_validated_before a year ago",
            SearchFilter { last_validated: range(None, Some(year)), ..active.clone() },
        ),
        (
            "plan + expires_before half a year ago",
            SearchFilter {
                plan: Some("starter".to_owned()),
                expires: range(None, Some(half_a_year)),
                ..none()
            },
        ),
    ]
}
