//! Which licenses a search finds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::sort::SearchSort;
use crate::domain::DomainName;
use crate::key::KeyDigest;
use crate::license::{Binding, CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint, Status};
use crate::store::LicenseRecord;
use crate::usage::Day;

/// Values from one on and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchRange<T> {
    /// The first value.
    pub from: Option<T>,
    /// The value after the last.
    pub before: Option<T>,
}

impl<T> Default for SearchRange<T> {
    fn default() -> Self {
        Self { from: None, before: None }
    }
}

impl<T: Copy + Ord> SearchRange<T> {
    /// Returns whether the range has no bounds.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.before.is_none()
    }

    /// Returns whether a value is in the range. No value is in an open range only.
    #[must_use]
    pub fn contains(&self, value: Option<T>) -> bool {
        let Some(value) = value else { return self.is_open() };
        self.from.is_none_or(|from| from <= value) && self.before.is_none_or(|before| value < before)
    }
}

/// Which licenses to find. Every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchFilter {
    /// The current key.
    pub key: Option<KeyDigest>,
    /// Address of the customer.
    pub customer_email: Option<CustomerEmail>,
    /// Beginning of the customer's address.
    pub email_prefix: Option<EmailPrefix>,
    /// Host of the customer's address.
    pub email_domain: Option<EmailDomain>,
    /// A domain that holds a slot, or that a registered wildcard covers.
    pub domain: Option<DomainName>,
    /// A device that holds a slot.
    pub fingerprint: Option<Fingerprint>,
    /// The external id.
    pub external_id: Option<ExternalId>,
    /// Members of the metadata that are [indexed](crate::license::Metadata::indexed).
    pub metadata: BTreeMap<String, String>,
    /// Name of the product.
    pub product: Option<String>,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Status at [`SearchQuery::at`](super::SearchQuery::at).
    pub status: Option<Status>,
    /// End of the term. A perpetual license has none.
    pub expires: SearchRange<DateTime<Utc>>,
    /// Whether the license never had a valid answer.
    pub never_activated: Option<bool>,
    /// Day of the last valid answer.
    pub last_validated: SearchRange<Day>,
    /// Whether slots of a kind are in use and none is free.
    pub at_limit: Option<bool>,
}

impl SearchFilter {
    /// Returns whether a license matches at `now`.
    #[must_use]
    pub fn matches(&self, record: &LicenseRecord, now: DateTime<Utc>) -> bool {
        let Self {
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
        } = self;
        let license = record.license();
        let email = license.customer_email.as_ref();
        let covering = domain.as_ref().map(DomainName::covering_names);
        let holds = |is_held: &dyn Fn(&Binding) -> bool| {
            record.activations().any(|detail| is_held(&detail.activation.binding))
        };
        let covers = |names: &Vec<String>, binding: &Binding| matches!(binding, Binding::Domain(held) if names.iter().any(|name| name == held.as_str()));
        let last_day = record.counters().last_validated_at.map(Day::of);
        key.is_none_or(|key| key == license.key_digest)
            && customer_email.as_ref().is_none_or(|wanted| email == Some(wanted))
            && email_prefix.as_ref().is_none_or(|prefix| email.is_some_and(|email| prefix.matches(email)))
            && email_domain.as_ref().is_none_or(|host| email.is_some_and(|one| one.domain() == host.as_str()))
            && covering.is_none_or(|names| holds(&|binding| covers(&names, binding)))
            && fingerprint
                .as_ref()
                .is_none_or(|wanted| holds(&|held| matches!(held, Binding::Device(one) if one == wanted)))
            && external_id.as_ref().is_none_or(|wanted| license.external_id.as_ref() == Some(wanted))
            && metadata.iter().all(|(name, value)| license.metadata.indexed().any(|one| one == (name, value)))
            && product.as_ref().is_none_or(|product| *product == license.product)
            && plan.as_ref().is_none_or(|plan| *plan == license.plan)
            && status.is_none_or(|status| license.status(now) == status)
            && expires.contains(license.expires_at)
            && never_activated.is_none_or(|never| never == license.activated_at.is_none())
            && last_validated.contains(last_day)
            && at_limit.is_none_or(|at_limit| at_limit == license.is_at_limit())
    }

    /// Returns whether the licenses can be sorted in this way: newest first always, otherwise only with
    /// filters by product, plan and status, and by the sorted time.
    #[must_use]
    pub fn can_sort(&self, sort: SearchSort) -> bool {
        let Self { product, plan, status, expires, .. } = self.clone();
        let expires = if sort.is_by_end() { expires } else { SearchRange::default() };
        sort == SearchSort::NewestFirst || *self == Self { product, plan, status, expires, ..Self::default() }
    }

    /// Returns whether a text of the filter has a NUL, which no stored text has.
    #[must_use]
    pub fn has_nul(&self) -> bool {
        let names = [&self.product, &self.plan].into_iter().flatten();
        let metadata = self.metadata.iter().flat_map(|(name, value)| [name, value]);
        names.chain(metadata).any(|text| text.contains('\0'))
    }

    /// Returns a text that is equal for equal filters only, to compare searches.
    pub(crate) fn content(&self) -> String {
        // Addresses hide themselves from `Debug`.
        let email = self.customer_email.as_ref().map(CustomerEmail::as_str);
        let prefix = self.email_prefix.as_ref().map(EmailPrefix::as_str);
        format!("{:?}", (self, email, prefix, self.key.map(|key| *key.as_bytes())))
    }
}
