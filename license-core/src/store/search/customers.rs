//! Customers and sums of their licenses.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::license::{CustomerEmail, CustomerName, EmailPrefix, Status};
use crate::store::{LicenseRecord, Page, PageRequest};

/// Arguments of [`SearchStore::list_customers`](super::SearchStore::list_customers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerQuery {
    /// The only address to return.
    pub email: Option<CustomerEmail>,
    /// Beginning of the addresses.
    pub prefix: Option<EmailPrefix>,
    /// Moment at which the status of licenses is evaluated.
    pub at: DateTime<Utc>,
    /// Which page.
    pub page: PageRequest<CustomerEmail>,
}

impl CustomerQuery {
    fn matches(&self, email: &CustomerEmail) -> bool {
        self.email.as_ref().is_none_or(|wanted| wanted == email)
            && self.prefix.as_ref().is_none_or(|prefix| prefix.matches(email))
            && self.page.after.as_ref().is_none_or(|after| email > after)
    }
}

/// A customer: the licenses with one address.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerSummary {
    /// The address.
    pub email: CustomerEmail,
    /// The name on the newest of its licenses that has one.
    pub name: Option<CustomerName>,
    /// Numbers of its licenses by status. A status without licenses may be missing.
    pub licenses: BTreeMap<Status, u64>,
    /// Time of the last valid answer.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// As [`Counters::as_of`](crate::license::Counters::as_of).
    pub as_of: Option<DateTime<Utc>>,
}

impl CustomerSummary {
    /// Returns what [`list_customers`](super::SearchStore::list_customers) answers, if `records` are ordered by
    /// ascending id.
    #[must_use]
    pub fn page_of_records<'a>(
        records: impl IntoIterator<Item = &'a LicenseRecord>,
        query: &CustomerQuery,
    ) -> Page<Self, CustomerEmail> {
        let mut customers = BTreeMap::new();
        for record in records {
            let license = record.license();
            let Some(email) = license.customer_email.as_ref().filter(|email| query.matches(email)) else {
                continue;
            };
            let customer = customers.entry(email.clone()).or_insert_with(|| Self::new(email.clone()));
            *customer.licenses.entry(license.status(query.at)).or_default() += 1;
            customer.name = license.customer_name.clone().or(customer.name.take());
            customer.last_validated_at = customer.last_validated_at.max(record.counters().last_validated_at);
        }
        let limit = query.page.limit;
        let items = customers.into_values().take(limit as usize + 1).collect();
        Page::from_one_more(items, limit, |customer: &Self| customer.email.clone())
    }

    fn new(email: CustomerEmail) -> Self {
        Self { email, name: None, licenses: BTreeMap::new(), last_validated_at: None, as_of: None }
    }
}
