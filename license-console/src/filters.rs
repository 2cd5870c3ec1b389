//! The filters of the list of licenses, as they are in the URL. They name no person and no key.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use license_core::license::Status;
use license_core::service::SearchRequest;
use license_core::store::{SearchFilter, SearchRange, SearchSort};
use license_core::usage::Day;

use crate::day;
use crate::failure::Failure;
use crate::form::Form;

/// The filters of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    pub(crate) status: Option<Status>,
    pub(crate) plan: Option<String>,
    /// Start of the day from which on terms end.
    pub(crate) expires_from: Option<DateTime<Utc>>,
    /// Start of the day before which terms end.
    pub(crate) expires_before: Option<DateTime<Utc>>,
    /// Only licenses without a valid answer from this day on.
    pub(crate) unseen_since: Option<DateTime<Utc>>,
    pub(crate) never_activated: bool,
    pub(crate) at_limit: bool,
    pub(crate) sort: Option<SearchSort>,
}

/// The names of the fields, in the URL and for people.
const LABELS: [(&str, &str); 8] = [
    ("status", "Status"),
    ("plan", "Plan"),
    ("expires_from", "Ends from"),
    ("expires_before", "Ends before"),
    ("unseen_since", "Not validated since"),
    ("never_activated", "Never activated"),
    ("at_limit", "At the limit"),
    ("sort", "Order"),
];

impl Filters {
    /// Reads the fields of a query. A value that cannot be used is an error: without its filter, a job would
    /// take more licenses.
    pub(crate) fn read(form: &Form) -> Result<Self, Failure> {
        for (name, label) in LABELS {
            if form.all(name).count() > 1 {
                return Err(Failure::field(label, "is given more than once"));
            }
            if form.all(name).any(|text| !text.is_empty() && text.trim().is_empty()) {
                return Err(Failure::field(label, "has only spaces"));
            }
        }
        Ok(Self {
            status: parsed(form, "status", |text| {
                Status::parse(text).ok_or("must be active, suspended, expired or revoked")
            })?,
            plan: parsed(form, "plan", |text| {
                if text.contains('\0') { Err("must have no zero byte") } else { Ok(text.to_owned()) }
            })?,
            expires_from: parsed(form, "expires_from", day)?,
            expires_before: parsed(form, "expires_before", day)?,
            unseen_since: parsed(form, "unseen_since", day)?,
            never_activated: parsed(form, "never_activated", yes)?.is_some(),
            at_limit: parsed(form, "at_limit", yes)?.is_some(),
            sort: parsed(form, "sort", |text| SearchSort::parse(text).ok_or("is unknown"))?,
        })
    }

    /// Returns active licenses that end within some days.
    pub(crate) fn expiring(days: i64, now: DateTime<Utc>) -> Self {
        Self {
            status: Some(Status::Active),
            expires_from: Some(start_of_day(now)),
            expires_before: Some(start_of_day(now) + TimeDelta::days(days + 1)),
            sort: Some(SearchSort::EarliestEnd),
            ..Self::default()
        }
    }

    /// Returns licenses that ended within some days.
    pub(crate) fn expired(days: i64, now: DateTime<Utc>) -> Self {
        Self {
            status: Some(Status::Expired),
            expires_from: Some(start_of_day(now) - TimeDelta::days(days)),
            expires_before: Some(start_of_day(now) + TimeDelta::days(1)),
            sort: Some(SearchSort::LatestEnd),
            ..Self::default()
        }
    }

    pub(crate) fn of_status(status: Status) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub(crate) fn full() -> Self {
        Self { at_limit: true, ..Self::default() }
    }

    pub(crate) fn unused() -> Self {
        Self { never_activated: true, ..Self::default() }
    }

    /// Returns active licenses without a valid answer for some days.
    pub(crate) fn dormant(days: i64, now: DateTime<Utc>) -> Self {
        let since = Some(start_of_day(now) - TimeDelta::days(days));
        Self { status: Some(Status::Active), unseen_since: since, ..Self::default() }
    }

    /// Returns the fields that are set.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let Self {
            status,
            plan,
            expires_from,
            expires_before,
            unseen_since,
            never_activated,
            at_limit,
            sort,
        } = self;
        let date = |at: &Option<DateTime<Utc>>| at.map(|at| at.format("%Y-%m-%d").to_string());
        let yes = |is: bool| is.then(|| "yes".to_owned());
        let fields = [
            ("status", status.map(|status| status.as_str().to_owned())),
            ("plan", plan.clone()),
            ("expires_from", date(expires_from)),
            ("expires_before", date(expires_before)),
            ("unseen_since", date(unseen_since)),
            ("never_activated", yes(*never_activated)),
            ("at_limit", yes(*at_limit)),
            ("sort", sort.map(|sort| sort.as_str().to_owned())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Returns the fields that are set, with their names for people.
    pub(crate) fn described(&self) -> Vec<(&'static str, String)> {
        self.fields().into_iter().map(|(name, value)| (label(name), value)).collect()
    }

    /// Returns the query of the URL, without the question mark.
    pub(crate) fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.fields()).finish()
    }

    /// Returns the search. An order that the filter does not allow is left out.
    pub(crate) fn request(&self) -> SearchRequest {
        let Self {
            status,
            plan,
            expires_from,
            expires_before,
            unseen_since,
            never_activated,
            at_limit,
            sort,
        } = self;
        let filter = SearchFilter {
            status: *status,
            plan: plan.clone(),
            expires: SearchRange { from: *expires_from, before: *expires_before },
            last_validated: SearchRange { from: None, before: unseen_since.map(Day::of) },
            never_activated: never_activated.then_some(true),
            at_limit: at_limit.then_some(true),
            ..SearchFilter::default()
        };
        let sort = sort.filter(|sort| filter.can_sort(*sort)).unwrap_or(SearchSort::NewestFirst);
        SearchRequest { sort, ..SearchRequest::new(filter) }
    }
}

pub(crate) fn start_of_day(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}

fn parsed<T>(
    form: &Form,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, Failure> {
    form.parsed(name, label(name), parse)
}

fn label(name: &'static str) -> &'static str {
    LABELS.into_iter().find(|(known, _)| *known == name).map_or(name, |(_, label)| label)
}

fn yes(text: &str) -> Result<(), &'static str> {
    if text == "yes" { Ok(()) } else { Err("must be yes") }
}

fn day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    day::parse(text).map(Day::start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_read_as_it_was_written() {
        let now = "2026-03-06T14:02:03Z".parse().unwrap();
        let plan = Filters { plan: Some("a&b=c d".to_owned()), ..Filters::default() };
        for filters in [
            Filters::default(),
            plan,
            Filters::expiring(7, now),
            Filters::expired(30, now),
            Filters::dormant(30, now),
            Filters::full(),
            Filters::unused(),
            Filters::of_status(Status::Suspended),
        ] {
            let query = filters.query();
            assert_eq!(Filters::read(&Form::of_query(&query)).unwrap(), filters, "{query}");
        }
        let query = Filters::expiring(7, now).query();
        assert_eq!(query, "status=active&expires_from=2026-03-06&expires_before=2026-03-14&sort=expires_at");
    }

    #[test]
    fn order_fits_the_filter() {
        let full = Filters { sort: Some(SearchSort::EarliestEnd), ..Filters::full() };
        assert_eq!(full.request().sort, SearchSort::NewestFirst);
        let all = Filters { sort: Some(SearchSort::EarliestEnd), ..Filters::default() };
        assert_eq!(all.request().sort, SearchSort::EarliestEnd);
    }
}
