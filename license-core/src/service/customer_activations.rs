//! What a customer sees of the activations of a license.

use super::activations::ActivationService;
use crate::command::refuse_customer_release;
use crate::debug::partial_debug;
use crate::domain::DomainName;
use crate::error::ValidateError;
use crate::license::{ActivationId, ActivationKind, Binding, Fingerprint, Label};
use crate::limits;
use crate::store::PageRequest;
use crate::usage::{ActivationDetail, Day};
use crate::validation::{Claim, Denial};

/// Most characters of the name of a device that a customer sees.
const SHOWN_CHARACTERS: usize = 4;

/// A request of a customer for the activations of a license, as received.
#[derive(Clone, Copy, Default)]
pub struct ListRequest<'a> {
    /// The license key.
    pub key: &'a str,
    /// The domain on which the software runs, to mark its activation.
    pub domain: Option<&'a str>,
    /// Fingerprint of the device on which the software runs, to mark its activation.
    pub fingerprint: Option<&'a str>,
}

partial_debug!(ListRequest<'_> { domain, fingerprint });

/// An activation as a customer sees it, without country and times. The fingerprint of a device is as good as its
/// slot, so it is masked unless the caller has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerActivation {
    /// The id.
    pub id: ActivationId,
    /// Domain or device.
    pub kind: ActivationKind,
    /// The vendor's label.
    pub label: Option<Label>,
    /// The domain, or the fingerprint of the caller, or the start of another fingerprint.
    pub name: String,
    /// Whether the domain or fingerprint of the request holds this slot.
    pub is_current: bool,
    /// Day of the first valid answer.
    pub first_seen_on: Option<Day>,
    /// Day of the latest valid answer.
    pub last_seen_on: Option<Day>,
}

/// Result of a customer's request for activations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerActivations {
    /// The activations, oldest first, at most [`limits::CUSTOMER_ACTIVATIONS`].
    Found {
        /// The activations.
        activations: Vec<CustomerActivation>,
        /// Whether the license has more.
        has_more: bool,
    },
    /// No license has this key.
    NotFound,
    /// The plan leaves activations to the vendor, or the license is suspended or revoked.
    Denied(Denial),
}

impl ActivationService {
    /// Lists activations for a customer, if the plan lets customers release slots.
    ///
    /// # Errors
    /// Returns [`ValidateError`] if the request is malformed, the store fails, or the catalog lacks the plan of
    /// the license.
    pub async fn list_for_customer(
        &self,
        request: &ListRequest<'_>,
    ) -> Result<CustomerActivations, ValidateError> {
        let key = self.context.read_key(request.key)?;
        let claim = Claim {
            domain: request.domain.map(DomainName::parse).transpose()?,
            fingerprint: request.fingerprint.map(Fingerprint::parse).transpose()?,
            ..Claim::default()
        };
        let digest = self.context.vault.digest(&key);
        let Some(snapshot) = self.licenses.find_by_key(&digest, &Claim::default()).await? else {
            return Ok(CustomerActivations::NotFound);
        };
        let license = snapshot.license();
        match refuse_customer_release(license, &self.context.plans()) {
            Ok(_) => {}
            Err(Denial::PlanUnknown { plan, .. }) => {
                return Err(ValidateError::PlanUnknown { id: license.id.clone(), plan });
            }
            Err(denial) => return Ok(CustomerActivations::Denied(denial)),
        }
        let page = PageRequest { after: None, limit: limits::CUSTOMER_ACTIVATIONS };
        let found = self.activations.list_activations(&license.id, None, &page).await?;
        let activations = found.items.into_iter().map(|detail| shown(detail, &claim)).collect();
        Ok(CustomerActivations::Found { activations, has_more: found.next.is_some() })
    }
}

fn shown(ActivationDetail { activation, last_seen }: ActivationDetail, claim: &Claim) -> CustomerActivation {
    let (is_current, name) = match &activation.binding {
        Binding::Domain(held) => {
            (claim.domain.as_ref().is_some_and(|domain| held.covers(domain)), held.as_str().to_owned())
        }
        Binding::Device(held) if claim.fingerprint.as_ref() == Some(held) => (true, held.as_str().to_owned()),
        Binding::Device(held) => (false, masked(held.as_str())),
    };
    CustomerActivation {
        id: activation.id,
        kind: activation.binding.kind(),
        label: activation.label,
        name,
        is_current,
        first_seen_on: last_seen.first_seen_at.map(Day::of),
        last_seen_on: last_seen.last_seen_at.map(Day::of),
    }
}

/// Returns the first four characters of a name, or fewer: at least half of the name is hidden.
fn masked(name: &str) -> String {
    let shown = SHOWN_CHARACTERS.min(name.chars().count() / 2);
    name.chars().take(shown).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_masked() {
        for (name, expected) in [
            ("8f14e45f-ceea-467f", "8f14…"),
            ("größenwahn", "größ…"),
            ("12345678", "1234…"),
            ("pc-17", "pc…"),
            ("ab", "a…"),
            ("a", "…"),
        ] {
            assert_eq!(masked(name), expected, "{name}");
        }
    }
}
