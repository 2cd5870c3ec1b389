//! The filters of the list of licenses, as they are in the URL. They name no person and no key.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use license_core::license::Status;
use license_core::service::SearchRequest;
use license_core::store::{SearchFilter, SearchRange, SearchSort};
use license_core::usage::Day;

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

impl Filters {
    /// Reads the fields of a query.
    pub(crate) fn read(form: &Form) -> Result<Self, Failure> {
        Ok(Self {
            status: form.parsed("status", "Status", |text| {
                Status::parse(text).ok_or("must be active, suspended, expired or revoked")
            })?,
            plan: form.text("plan").filter(|plan| !plan.contains('\0')).map(str::to_owned),
            expires_from: form.parsed("expires_from", "Ends from", day)?,
            expires_before: form.parsed("expires_before", "Ends before", day)?,
            unseen_since: form.parsed("unseen_since", "Not validated since", day)?,
            never_activated: form.is_checked("never_activated"),
            at_limit: form.is_checked("at_limit"),
            sort: form.parsed("sort", "Order", |text| SearchSort::parse(text).ok_or("is unknown"))?,
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

fn day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    Day::parse(text).map(Day::start).ok_or("must be a date such as 2027-01-31")
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
