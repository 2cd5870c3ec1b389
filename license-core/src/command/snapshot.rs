//! The snapshot of a license after a command.

use std::sync::Arc;

use super::{Command, NewLease};
use crate::license::{Binding, License};
use crate::validation::LicenseSnapshot;

impl Command {
    /// Returns the snapshot after this command changed a license from `before` to `after`, with which a cache
    /// replaces its entry. Returns `None` if the remaining bindings cannot be derived from `before`.
    #[must_use]
    pub fn replace_snapshot(
        &self,
        before: &LicenseSnapshot,
        after: &Arc<License>,
    ) -> Option<LicenseSnapshot> {
        let license = before.license();
        let is_next = license.version + 1 == after.version && license.key_digest == after.key_digest;
        if !(is_next && license.has_inline_bindings() && after.has_inline_bindings()) {
            return None;
        }
        let added = match self {
            Self::Activate(claim) | Self::Lease(NewLease { claim, .. }) => {
                let device = claim.fingerprint.clone().filter(|_| !before.held(claim).device);
                // An eviction frees one slot for another, so the remaining bindings are unknown.
                if license.devices_used + u64::from(device.is_some()) != after.devices_used {
                    return None;
                }
                let domain = claim.domain.clone().filter(|_| license.domains_used < after.domains_used);
                [domain.map(Binding::Domain), device.map(Binding::Device)]
            }
            Self::Suspend
            | Self::Reinstate
            | Self::Renew
            | Self::Revoke
            | Self::Label(..)
            | Self::EraseCustomer(_)
            | Self::AddGrant(_)
            | Self::RemoveGrant(_)
            | Self::Unblock(_)
            | Self::ApplyPlan { .. } => [None, None],
            // A block that frees no slot.
            Self::Block(_)
                if (license.domains_used, license.devices_used)
                    == (after.domains_used, after.devices_used) =>
            {
                [None, None]
            }
            Self::Change(patch) if patch.domains.is_none() => [None, None],
            Self::Release(_)
            | Self::Deactivate(_)
            | Self::ReleaseIdle
            | Self::Change(_)
            | Self::RotateKey { .. }
            | Self::Block(_)
            | Self::ReturnLease(_)
            | Self::ReleaseReturned => return None,
        };
        let bindings = before.bindings().cloned().chain(added.into_iter().flatten());
        Some(LicenseSnapshot::new(Arc::clone(after), bindings))
    }
}
