//! The storage port of licenses.

use std::fmt;
use std::future::pending;
use std::num::NonZero;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::command::{Command, CommandContext, CommandOutcome, Idempotency, NewLicense, UsedKey};
use crate::event::Subject;
use crate::key::KeyDigest;
use crate::license::{CustomerEmail, License, LicenseDetail, LicenseId, Status};
use crate::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState};
use crate::usage::{BatchId, Validation};
use crate::validation::{Claim, LicenseSnapshot};

/// Stores licenses with their activations and counters. The only port that every store implements. The
/// [module](super) has the contract of all methods.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LicenseStore: fmt::Debug + Send + Sync + 'static {
    /// Stores new licenses with their activations, events and audit entries: all of them or none.
    ///
    /// Only the first one can have an idempotency key, which is that of the request. If the key was used
    /// before, nothing is written. The result is [`Created::Existing`] with the first license of the same
    /// request, and [`Created::KeyReused`] for another request. If several calls race with one key, exactly
    /// one of them creates licenses.
    ///
    /// If another license has the external id of the new one, nothing is written, and the result is
    /// [`Created::ExternalIdTaken`]. A store that is no [`SearchStore`](super::SearchStore) need not check it.
    ///
    /// The [trial claims](NewLicense::trial_claims) are stored in the same commit. A claim outlives its license. If one
    /// of their digests is claimed, nothing is written, and the result is [`Created::TrialUsed`]. Of several calls
    /// that race with one digest, exactly one creates licenses.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if an id or a key's digest is taken, also by another license of
    /// `new`; nothing is written.
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created, StoreError>;

    /// Stores one new license, as [`create_all`](Self::create_all) does.
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.create_all(std::slice::from_ref(new)).await
    }

    /// Executes a command on one license, exclusively: locks the license, reads it and the activations that
    /// [`Command::reads`] and [`Command::eviction_candidates`] name, and the request that used the key of
    /// [`CommandContext::idempotency`]; calls [`decide`](crate::command::decide), writes the changes,
    /// commits.
    ///
    /// If the changed license has the external id of another one, nothing is written, and the outcome is
    /// denied as [`Denial::ExternalIdTaken`](crate::validation::Denial::ExternalIdTaken).
    ///
    /// The view has the stored claims of [`Command::trial_digests`]. [`Changes::trial_claims`](crate::command::Changes)
    /// are written in the same commit. If a racing call on another license has claimed one of their digests meanwhile,
    /// nothing is written, and the command is read and decided again.
    ///
    /// No other `execute` on this license, on any handle, runs between the read and the commit. A denial is
    /// not an error.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if no license has this id, and [`StoreError::Contended`] if the lock
    /// is not free in time.
    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome, StoreError>;

    /// Records validations: adds them to the history, and their [`fold`](crate::usage::fold) to rollups,
    /// counters and activations. A store may apply the fold later, as long as
    /// [`Counters::as_of`](crate::license::Counters::as_of) says up to which time validations are counted.
    ///
    /// A `batch` that was recorded before is not recorded again, so a call whose answer was lost can be
    /// repeated. Validations of unknown licenses are ignored.
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError>;

    /// Finds a license by its key, with the bindings that a verdict on `claim` needs: all of them if the
    /// license [has them inline](License::has_inline_bindings), otherwise those that could cover the claim
    /// ([`Reads::of_claim`](crate::command::Reads::of_claim)). Called for every validation, so it must not
    /// scan the bindings of a large license.
    async fn find_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
    ) -> Result<Option<LicenseSnapshot>, StoreError>;

    /// Returns the license with this id.
    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError>;

    /// Lists licenses, newest first (by descending id). The cursor is the last id of a page.
    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>, StoreError>;

    /// Stores `value` under `name` unless one exists, and returns the stored value. Concurrent callers all
    /// get the first value. For settings on which all nodes must agree, such as the data keys.
    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Returns the request that used an idempotency key. Answers a repeated create that would be denied now,
    /// for example because its plan is gone. Only [`create`](Self::create) and [`execute`](Self::execute)
    /// guarantee that a key is used once.
    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>, StoreError>;

    /// Deletes idempotency keys from before a moment, at most `limit`. Returns the number deleted.
    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Checks that the database answers.
    async fn ping(&self) -> Result<(), StoreError> {
        self.find_by_key(&KeyDigest::from_bytes([0; 32]), &Claim::default()).await.map(drop)
    }

    /// Starts a stream of every change that commits from now on: those of this handle, and those of other
    /// nodes if the store learns of them. A notice may arrive before or after the call that made the change
    /// returns.
    ///
    /// The default stream never yields, so caches rely on their time to live.
    fn changes(&self) -> Box<dyn ChangeStream> {
        Box::new(Silent)
    }

    /// Returns whether changes of other nodes arrive at the moment.
    fn stream_state(&self) -> StreamState {
        StreamState::Listening
    }

    /// Tells a cache about changes that did not go through it, such as an import, before they are
    /// acknowledged. A store that is not a cache ignores the call.
    fn invalidate(&self, changes: &[LicenseChanged]) {
        let _ = changes;
    }

    /// Returns the properties of the store that matter to layers in front of it.
    fn profile(&self) -> StoreProfile {
        StoreProfile::default()
    }

    /// Releases connections and files. Later calls fail.
    async fn close(&self) {}
}

/// Properties of a store that matter to layers in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreProfile {
    /// Number of `record` calls that are useful at the same time.
    pub concurrent_commits: NonZero<usize>,
    /// Whether the change stream includes changes of other processes on the same data.
    pub hears_other_processes: bool,
}

impl Default for StoreProfile {
    fn default() -> Self {
        Self { concurrent_commits: NonZero::<usize>::MIN, hears_other_processes: true }
    }
}

/// A change stream that never yields.
struct Silent;

#[async_trait]
impl ChangeStream for Silent {
    async fn next(&mut self) -> ChangeNotice {
        pending().await
    }
}

/// Result of [`LicenseStore::create_all`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The licenses were stored.
    New,
    /// The same request was stored before; this is its first license.
    Existing(LicenseId),
    /// The idempotency key was used for another request.
    KeyReused,
    /// Another license has the external id. Nothing was stored.
    ExternalIdTaken,
    /// Another license has a trial claim of the new ones. Nothing was stored.
    TrialUsed,
}

impl Created {
    /// Returns the result for an idempotency key that was used before.
    #[must_use]
    pub fn repeated(asked: &Idempotency, used: &UsedKey) -> Self {
        match used.event.subject() {
            Subject::License(first) if used.request == asked.request => Self::Existing(first.clone()),
            _ => Self::KeyReused,
        }
    }
}

/// Which licenses to list. Every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicenseFilter {
    /// Status at [`LicenseQuery::at`].
    pub status: Option<Status>,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Address of the customer.
    pub customer_email: Option<CustomerEmail>,
}

impl LicenseFilter {
    /// Returns whether a license matches at `now`.
    #[must_use]
    pub fn matches(&self, license: &License, now: DateTime<Utc>) -> bool {
        let Self { status, plan, customer_email } = self;
        status.is_none_or(|status| license.status(now) == status)
            && plan.as_ref().is_none_or(|plan| *plan == license.plan)
            && customer_email.as_ref().is_none_or(|email| Some(email) == license.customer_email.as_ref())
    }
}

/// Arguments of [`LicenseStore::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseQuery {
    /// Which licenses.
    pub filter: LicenseFilter,
    /// Moment at which [`LicenseFilter::status`] is evaluated.
    pub at: DateTime<Utc>,
    /// Which page.
    pub page: PageRequest<LicenseId>,
}
