//! The filters of a search as conditions.

use license_core::domain::DomainName;
use license_core::license::{
    CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint, LicenseState, Status,
};
use license_core::limits;
use license_core::store::{SearchFilter, SearchQuery, SearchRange};
use license_core::usage::Day;

use super::search::end_of_prefix;
use crate::sql::dialect::Value;
use crate::sql::rows::NEVER;

/// A filter as SQL, with `?` for its values.
pub(super) struct Condition<'a> {
    /// On `licenses`, in a form that can use an index.
    pub(super) indexed: String,
    /// The same in a form that uses no index, if an index would not give the order of the list.
    pub(super) plain: String,
    pub(super) values: Vec<Value<'a>>,
    /// Selects the ids of all licenses that match, by an index.
    pub(super) ids: String,
    pub(super) order: Order<'a>,
    /// Whether at most one license matches.
    pub(super) is_unique: bool,
}

/// How an index gives the ids of a filter in their order.
pub(super) enum Order<'a> {
    /// It does not: the ids must be sorted.
    None,
    /// `ids` are in the order of an index.
    Index,
    /// An index has the order within each part.
    Parts(Parts<'a>),
}

/// Parts of the licenses of a filter. There are few parts, so the first license of each can be looked up.
pub(super) struct Parts<'a> {
    /// Selects the parts as the column `part`.
    pub(super) each: String,
    pub(super) each_values: Vec<Value<'a>>,
    /// The licenses of `found.part`: the text after `FROM` and the column of the id.
    pub(super) of_part: String,
    pub(super) of_part_values: Vec<Value<'a>>,
    pub(super) id: &'static str,
}

impl<'a> Parts<'a> {
    /// The parts with numbers from `from` to `to` that a table has. `part` is the indexed expression.
    fn numbered(
        (table, part, id): (&str, &str, &'static str),
        (from, to): (i64, i64),
        (condition, of_part_values): (&str, Vec<Value<'a>>),
    ) -> Self {
        let least =
            |from| format!("SELECT MIN({part}) AS part FROM {table} t WHERE {part} {from} AND {part} <= ?");
        let (first, next) = (least(">= ?"), least("> parts.part"));
        // Looks up the next part in the index instead of reading all of the one before.
        let each = format!(
            "WITH RECURSIVE parts AS ({first} UNION ALL SELECT ({next}) FROM parts WHERE parts.part IS NOT NULL) \
             SELECT part FROM parts WHERE part IS NOT NULL"
        );
        let of_part = format!("{table} t WHERE {part} = found.part AND {condition}");
        Self { each, each_values: vec![from.into(), to.into(), to.into()], of_part, of_part_values, id }
    }
}

impl<'a> Condition<'a> {
    /// A condition on columns, each written as `licenses.NAME`, with an index that has the order of ids.
    fn on(condition: &str, values: Vec<Value<'a>>) -> Self {
        let ids = format!("SELECT id AS license_id FROM licenses WHERE {condition}");
        let (indexed, plain) = (condition.to_owned(), condition.to_owned());
        Self { indexed, plain, values, ids, order: Order::Index, is_unique: false }
    }

    fn equal(column: &str, value: impl Into<Value<'a>>) -> Self {
        let plain = format!("(licenses.{column} || '') = ?");
        Self { plain, ..Self::on(&format!("licenses.{column} = ?"), vec![value.into()]) }
    }

    fn unique(column: &str, value: impl Into<Value<'a>>) -> Self {
        Self { is_unique: true, ..Self::on(&format!("licenses.{column} = ?"), vec![value.into()]) }
    }

    /// A condition on rows of another table, which has its own index. Each license is looked up: without the
    /// OFFSET, a planner without statistics would compare all licenses with all rows.
    fn has(table: &str, condition: &str, values: Vec<Value<'a>>) -> Self {
        let indexed = format!(
            "EXISTS (SELECT 1 FROM {table} t WHERE t.license_id = licenses.id AND {condition} LIMIT 1 OFFSET 0)"
        );
        let ids = format!("SELECT t.license_id FROM {table} t WHERE {condition}");
        Self { plain: indexed.clone(), indexed, values, ids, order: Order::Index, is_unique: false }
    }

    /// A license may hold some of the names.
    fn any_domain(names: Vec<String>) -> Self {
        let marks = vec!["?"; names.len()].join(", ");
        let most = (limits::SEARCH_COUNT + 1) * names.len() as u64;
        let values: Vec<_> = names.into_iter().map(Value::from).collect();
        let has = Self::has("activations", &format!("t.kind = 'domain' AND t.value IN ({marks})"), values);
        let each = vec!["SELECT CAST(? AS TEXT) AS part"; has.values.len()].join(" UNION ALL ");
        let order = Order::Parts(Parts {
            each,
            each_values: has.values.clone(),
            of_part: "activations t WHERE t.kind = 'domain' AND t.value = found.part".to_owned(),
            of_part_values: Vec::new(),
            id: "t.license_id",
        });
        let ids = format!("SELECT DISTINCT license_id FROM ({} LIMIT {most}) AS held", has.ids);
        Self { ids, order, ..has }
    }

    /// A condition on the end of the term, from `first` to `last`.
    fn ending(first: i64, last: i64, state: Option<LicenseState>) -> Self {
        let state = state.map(|state| format!(" AND (licenses.state || '') = '{}'", state.as_str()));
        let condition =
            format!("licenses.ends_at >= ? AND licenses.ends_at <= ?{}", state.unwrap_or_default());
        let values = vec![Value::from(first), last.into()];
        // The last part has the perpetual licenses.
        let last_part = NEVER / END_PART - i64::from(last < NEVER);
        let parts = (first / END_PART, last_part.min(last / END_PART));
        let expression = format!("(t.ends_at / {END_PART})");
        let plain = condition.replace("licenses.ends_at", "(licenses.ends_at + 0)");
        let of_part = plain.replace("licenses.", "t.");
        let parts = Parts::numbered(("licenses", &expression, "t.id"), parts, (&of_part, values.clone()));
        Self { plain, order: Order::Parts(parts), ..Self::on(&condition, values) }
    }
}

/// Microseconds of a part of the ends of terms, as in the index `licenses_by_end_part`.
const END_PART: i64 = 2_592_000_000_000;

/// Numbers the parameters of a condition, and adds their values.
pub(super) fn numbered<'a>(condition: &str, own: &[Value<'a>], values: &mut Vec<Value<'a>>) -> String {
    let mut parts = condition.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(own) {
        values.push(value.clone());
        text = text + "$" + &values.len().to_string() + part;
    }
    text
}

/// Returns the conditions of a filter.
pub(super) fn conditions(SearchQuery { filter, at, .. }: &SearchQuery) -> Vec<Condition<'_>> {
    let SearchFilter {
        key,
        customer_email,
        email_prefix,
        email_domain,
        domain,
        fingerprint,
        external_id,
        metadata,
        product,
        plan,
        status,
        expires,
        never_activated,
        last_validated,
        at_limit,
    } = filter;
    let mut all = Vec::new();
    all.extend(key.as_ref().map(|key| Condition::unique("key_digest", key.as_bytes().as_slice())));
    all.extend(external_id.as_ref().map(|id| Condition::unique("external_id", ExternalId::as_str(id))));
    let email = customer_email.as_ref().map(CustomerEmail::as_str);
    all.extend(email.map(|email| Condition::equal("customer_email", email)));
    all.extend(email_prefix.as_ref().map(|prefix| Condition {
        plain: "(licenses.customer_email || '') >= ? AND (licenses.customer_email || '') < ?".to_owned(),
        order: Order::None,
        ..Condition::on(
            "licenses.customer_email >= ? AND licenses.customer_email < ?",
            vec![EmailPrefix::as_str(prefix).into(), end_of_prefix(prefix).into()],
        )
    }));
    let host = email_domain.as_ref().map(EmailDomain::as_str);
    all.extend(host.map(|host| Condition::equal("customer_domain", host)));
    all.extend(domain.as_ref().map(|domain| Condition::any_domain(DomainName::covering_names(domain))));
    let device = fingerprint.as_ref().map(Fingerprint::as_str);
    all.extend(device.map(|device| {
        Condition::has("activations", "t.kind = 'device' AND t.value = ?", vec![device.into()])
    }));
    all.extend(metadata.iter().map(|(name, value)| {
        let values = vec![name.as_str().into(), value.as_str().into()];
        Condition::has("license_metadata", "t.name = ? AND t.value = ?", values)
    }));
    all.extend(product.as_deref().map(|product| Condition::equal("product", product)));
    all.extend(plan.as_deref().map(|plan| Condition::equal("plan", plan)));
    all.extend(status.map(|status| with_status(status, at.timestamp_micros())));
    if !expires.is_open() {
        let SearchRange { from, before } = expires;
        // Perpetual licenses have no end.
        let before = before.map_or(NEVER, |before| before.timestamp_micros());
        let from = from.map_or(i64::MIN, |from| from.timestamp_micros());
        all.push(Condition::ending(from, before - 1, None));
    }
    all.extend(never_activated.map(|never| {
        let is_null = if never { "IS NULL" } else { "IS NOT NULL" };
        Condition::on(&format!("licenses.activated_at {is_null}"), Vec::new())
    }));
    if !last_validated.is_open() {
        let SearchRange { from, before } = last_validated;
        let from = from.map_or(i64::MIN, Day::number);
        let before = before.map_or(i64::MAX, Day::number);
        let values = vec![from.into(), before.into()];
        let condition = "t.last_validated_day >= ? AND t.last_validated_day < ?";
        let days = (from, before.saturating_sub(1));
        let counters = ("license_counters", "t.last_validated_day", "t.license_id");
        let order = Order::Parts(Parts::numbered(counters, days, ("1 = 1", Vec::new())));
        all.push(Condition { order, ..Condition::has("license_counters", condition, values) });
    }
    let at_limit = at_limit.map(i64::from);
    all.extend(at_limit.map(|flag| Condition::on(&format!("licenses.at_limit = {flag}"), Vec::new())));
    all
}

fn with_status<'a>(status: Status, now: i64) -> Condition<'a> {
    match status {
        Status::Active => Condition::ending(now + 1, NEVER, Some(LicenseState::Active)),
        Status::Expired => Condition::ending(i64::MIN, now, Some(LicenseState::Active)),
        Status::Suspended => Condition::equal("state", LicenseState::Suspended.as_str()),
        Status::Revoked => Condition::equal("state", LicenseState::Revoked.as_str()),
    }
}
