//! Lists activations, and frees the slots of idle devices.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::context::ServiceContext;
use crate::access::{Actor, Principal};
use crate::catalog::PlanVersion;
use crate::command::{Command, CommandOutcome};
use crate::error::ServiceError;
use crate::license::{ActivationId, ActivationKind, LicenseId};
use crate::store::{ActivationStore, LicenseStore, Page, PageRequest};
use crate::usage::{ActivationDetail, IdleQuery};

/// Lists activations and releases idle devices.
#[derive(Clone, Debug)]
pub struct ActivationService {
    pub(super) activations: Arc<dyn ActivationStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl ActivationService {
    /// Lists the activations of a license, oldest first, with when they were last seen.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such license.
    pub async fn list(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, ServiceError> {
        Ok(self.activations.list_activations(id, kind, page).await?)
    }

    /// Frees the slots of devices that were unseen for the idle time of their plan, in at most `limit`
    /// licenses per plan version. Returns the number of changed licenses. Call repeatedly until it returns 0. Several
    /// nodes may call it at once. Take `now` from
    /// [`ClockService::plausible_now`](super::ClockService::plausible_now).
    ///
    /// # Errors
    /// Returns the last [`ServiceError::Store`]. An error with one license does not stop the others.
    pub async fn release_idle(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, ServiceError> {
        let context = self.context.command(now, None, Some(Arc::new(Actor::new(Principal::System))));
        let (mut released, mut failure) = (0, None);
        let plans = Arc::clone(&context.plans);
        for PlanVersion { plan, version, .. } in plans.entries().flat_map(|entry| &entry.versions) {
            let Some(before) = plan.idle().and_then(|idle| now.checked_sub_signed(idle)) else { continue };
            let query = IdleQuery { plan: &plan.name, version: *version, before, now, limit };
            for id in self.activations.find_idle(&query).await? {
                match self.licenses.execute(&id, &Command::ReleaseIdle, &context).await {
                    Ok(CommandOutcome::Done(_) | CommandOutcome::Repeated(_)) => released += 1,
                    // The device was seen since, or another node was first.
                    Ok(CommandOutcome::Denied(_) | CommandOutcome::NotActivated(_)) => {}
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure.map_or(Ok(released), |error| Err(error.into()))
    }
}
