//! The storage port of activations.

use std::fmt;

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::license::{ActivationId, ActivationKind, LicenseId};
use crate::usage::{ActivationDetail, IdleQuery};

/// Lists activations and finds idle devices.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ActivationStore: fmt::Debug + Send + Sync + 'static {
    /// Lists the activations of a license, oldest first (by id), optionally of one kind. The cursor is the
    /// last id of a page.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if no license has this id.
    async fn list_activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError>;

    /// Finds licenses for which [`Command::ReleaseIdle`](crate::command::Command::ReleaseIdle) may free a
    /// slot, ordered by the day on which their least recently seen device was last seen. Revoked licenses are
    /// left out. Validations that are not compacted yet may be ignored: the command decides under the lock.
    async fn find_idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError>;
}
