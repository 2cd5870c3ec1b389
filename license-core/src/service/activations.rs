//! Listing activations, and freeing the slots of idle devices.

use std::sync::Arc;

use super::context::ServiceContext;
use crate::access::{Actor, Who};
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
    /// Returns [`StoreError::NotFound`](crate::store::StoreError::NotFound) as [`ServiceError::Store`] if
    /// there is no such license.
    pub async fn list(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, ServiceError> {
        Ok(self.activations.list_activations(id, kind, page).await?)
    }

    /// Frees the slots of devices that were not seen for as long as their plans say, of at most `limit`
    /// licenses of each plan. Returns how many licenses lost a device; call repeatedly until it is 0. Safe on
    /// any number of nodes at once.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails. A fault with one license does not stop the others.
    pub async fn release_idle(&self, limit: u32) -> Result<u32, ServiceError> {
        let now = self.context.now();
        let context = self.context.command(now, None, Some(Arc::new(Actor::new(Who::System))));
        let (mut released, mut fault) = (0, None);
        for plan in self.context.plans.iter() {
            let Some(before) = plan.idle().and_then(|idle| now.checked_sub_signed(idle)) else { continue };
            let query = IdleQuery { plan: &plan.name, before, limit };
            for id in self.activations.find_idle(&query).await? {
                match self.licenses.execute(&id, &Command::ReleaseIdle, &context).await {
                    Ok(CommandOutcome::Done(_)) => released += 1,
                    // The device was seen since, or another node was first.
                    Ok(CommandOutcome::Denied(_)) => {}
                    Err(error) => fault = Some(error),
                }
            }
        }
        fault.map_or(Ok(released), |error| Err(error.into()))
    }
}
