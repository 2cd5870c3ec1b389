//! The storage port: what the engine asks of a database.
//!
//! Core decides, the store isolates. A store repeats no rule: it finds the row, locks it, asks
//! [`decide`](crate::command::decide), and writes down what was decided, in one commit. `examples/custom_store.rs` is a
//! whole store that compiles; `license_store::conformance` shows whether a store keeps the contract.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activation::{ActivationId, ActivationKind};
use crate::change::{ChangeFeed, FeedState};
use crate::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use crate::customer::CustomerEmail;
use crate::event::Event;
use crate::figure::Figure;
use crate::key::KeyDigest;
use crate::license::{License, LicenseDetail, LicenseId, Status};
use crate::limits;
use crate::seen::{ActivationDetail, IdleQuery};
use crate::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use crate::verdict::{Claim, Standing};

/// Keeps licenses, their activations, events and validations.
///
/// Every method is one atomic operation: all of it happens or none of it, also when the process is killed or the future
/// is dropped. What a method acknowledged stays, and every later read sees it, on every handle to the same data.
///
/// No method reads a clock or draws a random number; times come in whole microseconds and are given back equal.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait LicenseStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a new license with its activations and events, in one commit.
    ///
    /// Where `new.idempotency` names a key that was kept before, nothing is written: [`Created::Before`] if the digest of
    /// the request is the same, [`Created::Conflict`] otherwise. Of several calls that race with one key, one creates.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when the id or the key's digest is taken; nothing is written.
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError>;

    /// What an idempotency key was used for: [`Created::Before`] or [`Created::Conflict`], as `create` would say; `None`
    /// where it is free.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError>;

    /// Asks one thing of one license, exclusively: locks it, reads it and the activations that
    /// [`Command::reads`] and [`Command::unseen`] name, asks [`decide`](crate::command::decide), writes the decision and commits.
    ///
    /// No other `execute` on the same license, on any handle, may come between the reading and the commit.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a denial is no error.
    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError>;

    /// Records validations in one commit. What they add to histories, rollups, counters and activations is their
    /// [`fold`](crate::usage::fold); a store may apply it later, as long as counters tell how far they reach
    /// ([`Counters::as_of`](crate::license::Counters::as_of)).
    ///
    /// A `batch` that was recorded before is not recorded again, so a call whose answer was lost can be repeated.
    /// Validations of unknown licenses are ignored: the service records only licenses that it has just read.
    ///
    /// # Errors
    /// [`StoreError`]; then none of them is recorded, or the answer to the commit was lost.
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError>;

    /// The license with that id, as of one moment.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError>;

    /// The license with that key and what is bound to it, as of one moment: all bindings where it
    /// [has them inline](License::has_inline_bindings), otherwise those that could cover `claim`
    /// ([`Reads::of_claim`](crate::command::Reads::of_claim)).
    ///
    /// The hot path: of a license with more bindings it must neither load nor scan all. `now` is the time of the call; a
    /// store that remembers what it has read tells by it how old that is.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError>;

    /// What [`license_by_key`](Self::license_by_key) would answer, where that is remembered and may be told without waiting.
    /// `None`: it has to be asked.
    fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
        let _ = (digest, claim, now);
        None
    }

    /// Whether the store is known not to answer, so that what is answered meanwhile comes from memory, and is kept when
    /// it answers again. Without waiting.
    fn is_down(&self) -> bool {
        false
    }

    /// Figures of its work, for those who watch over it; a store in front of another adds its own.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// Licenses that pass the filter at `now`, newest first (by id, downwards). The cursor is the last id of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError>;

    /// Activations of a license, ordered by id; `kind` picks one kind. The cursor is the last id of a page. What validations say
    /// of them counts those that were recorded, all of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such license.
    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError>;

    /// Licenses that may have something for [`Command::ReleaseIdle`], those with devices unseen for the longest first, to the day. What
    /// was recorded lately may be left out of account: the command, under the lock of the license, knows all. Licenses that
    /// are revoked are left out.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError>;

    /// Events of a license in their order, after the one with the number `after`, at most `limit`.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// What a license was used for: what is recorded, rolled up or not, of [the query's sources](UsageQuery::sources), and
    /// [what is kept](UsageReport::kept), all of one moment. The series is not filled.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such license.
    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError>;

    /// Likewise, what all licenses were used for.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError>;

    /// Rollups that pass the filter, in the order of their keys: at every moment those that
    /// [`roll_up`](crate::usage::roll_up) makes of what was recorded, but for days that are not kept any more. The cursor is
    /// the last key of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError>;

    /// Removes single validations and rollups that `retention` does not keep at `now`, at most `limit` of each, and says how
    /// many those were. What rollups that go have counted stays in the totals of all time. Called until it says 0: a store
    /// may do less at once than it is asked for, so that nobody waits.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// The names of all plans that licenses have, without repetition, in any order.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError>;

    /// Keeps `value` under `name` if nothing is kept there, and tells what is kept now: of callers that race, all get
    /// the value of the first. For what a database must agree on with its servers, such as its data keys.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Begins to listen: every change that commits from now on is told, those of this handle and, where the store
    /// reaches them, those of other nodes. It may be told before the call that made it returns, or after.
    fn changes(&self) -> Box<dyn ChangeFeed>;

    /// Whether changes are heard.
    fn feed_state(&self) -> FeedState;
}

/// Forwards every method, so that a shared or boxed store is a store.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: LicenseStore + ?Sized> LicenseStore for $pointer<S> {
            async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
                (**self).create(new).await
            }
            async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
                (**self).created(idempotency).await
            }
            async fn execute(
                &self,
                id: &LicenseId,
                command: &Command,
                context: &CommandContext,
            ) -> Result<Outcome, StoreError> {
                (**self).execute(id, command, context).await
            }
            /// On the way of every validation: no future of its own.
            fn record<'life0, 'life1, 'async_trait>(
                &'life0 self,
                validations: &'life1 [Validation],
                batch: Option<BatchId>,
            ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                (**self).record(validations, batch)
            }
            async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
                (**self).license(id).await
            }
            async fn license_by_key(
                &self,
                digest: &KeyDigest,
                claim: &Claim,
                now: DateTime<Utc>,
            ) -> Result<Option<Standing>, StoreError> {
                (**self).license_by_key(digest, claim, now).await
            }
            fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
                (**self).recall(digest, claim, now)
            }
            fn is_down(&self) -> bool {
                (**self).is_down()
            }
            fn figures(&self) -> Vec<Figure> {
                (**self).figures()
            }
            async fn licenses(
                &self,
                filter: &LicenseFilter,
                now: DateTime<Utc>,
                page: &PageRequest<LicenseId>,
            ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
                (**self).licenses(filter, now, page).await
            }
            async fn activations(
                &self,
                id: &LicenseId,
                kind: Option<ActivationKind>,
                page: &PageRequest<ActivationId>,
            ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
                (**self).activations(id, kind, page).await
            }
            async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
                (**self).idle(query).await
            }
            async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
                (**self).events(id, after, limit).await
            }
            async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
                (**self).usage(id, query).await
            }
            async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
                (**self).usage_of_all(query).await
            }
            async fn rollups(
                &self,
                filter: &RollupFilter,
                page: &PageRequest<RollupKey>,
            ) -> Result<Page<Rollup, RollupKey>, StoreError> {
                (**self).rollups(filter, page).await
            }
            async fn forget_usage(
                &self,
                retention: &UsageRetention,
                now: DateTime<Utc>,
                limit: u32,
            ) -> Result<u64, StoreError> {
                (**self).forget_usage(retention, now, limit).await
            }
            async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
                (**self).plans_in_use().await
            }
            async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
                (**self).keep_first(name, value).await
            }
            async fn ping(&self) -> Result<(), StoreError> {
                (**self).ping().await
            }
            fn changes(&self) -> Box<dyn ChangeFeed> {
                (**self).changes()
            }
            fn feed_state(&self) -> FeedState {
                (**self).feed_state()
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// What [`LicenseStore::create`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// Kept.
    New,
    /// The same request was kept before; this is its license.
    Before(LicenseId),
    /// The idempotency key was used for another request.
    Conflict,
}

impl Created {
    /// What a second request is told, where the key was used for `before`, which made `first`.
    #[must_use]
    pub fn again(request: &[u8; 32], before: &[u8; 32], first: LicenseId) -> Self {
        if request == before { Self::Before(first) } else { Self::Conflict }
    }
}

/// Which licenses to list. Every part that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicenseFilter {
    /// Of this status at the moment of asking.
    pub status: Option<Status>,
    /// Of this plan.
    pub plan: Option<String>,
    /// Of this customer.
    pub customer_email: Option<CustomerEmail>,
}

impl LicenseFilter {
    /// Whether a license passes.
    #[must_use]
    pub fn admits(&self, license: &License, now: DateTime<Utc>) -> bool {
        let Self { status, plan, customer_email } = self;
        status.is_none_or(|status| license.status(now) == status)
            && plan.as_ref().is_none_or(|plan| *plan == license.plan)
            && customer_email.as_ref().is_none_or(|email| *email == license.customer_email)
    }
}

/// Asks for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// Start behind this item; `None`: at the first.
    pub after: Option<C>,
    /// At most so many items, 1 to [`limits::PAGE_ITEMS`].
    pub limit: u32,
}

impl<C> Default for PageRequest<C> {
    fn default() -> Self {
        Self { after: None, limit: limits::PAGE_ITEMS_DEFAULT }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items in order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<C>,
}

impl<T, C> Default for Page<T, C> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T, C> Page<T, C> {
    /// Makes a page of up to `limit + 1` items read from the start of it: the one too many shows that there is a next.
    #[must_use]
    pub fn from_one_more(mut items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// An error of whatever lies below.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// The store could not do what was asked. A refusal by a rule is not among these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such license.
    #[error("there is no license {id}")]
    NotFound {
        /// The id that was asked for.
        id: LicenseId,
    },
    /// The id or the key is taken.
    #[error("{what} is taken")]
    AlreadyExists {
        /// What is taken.
        what: &'static str,
    },
    /// Others hold the license too long; nothing was done.
    #[error("others are changing the same data")]
    Contended {
        /// What the database said.
        #[source]
        source: Source,
    },
    /// A row is not as it was written.
    #[error("{table}.{column} of {id:?} can't be read")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its column.
        column: &'static str,
        /// Which row.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// The store does not answer, or can't keep what it is given (a full disk).
    #[error("the store is unavailable")]
    Unavailable {
        /// What happened.
        #[source]
        source: Source,
    },
}

impl StoreError {
    /// The same error for each of several callers that waited for one answer.
    #[must_use]
    pub fn shared(error: &Arc<Self>) -> Self {
        let source = || Source::from(Arc::clone(error));
        match &**error {
            Self::NotFound { id } => Self::NotFound { id: id.clone() },
            Self::AlreadyExists { what } => Self::AlreadyExists { what },
            Self::Contended { .. } => Self::Contended { source: source() },
            Self::Corrupt { table, column, id, .. } => {
                Self::Corrupt { table, column, id: id.clone(), source: source() }
            }
            Self::Unavailable { .. } => Self::Unavailable { source: source() },
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Unavailable { .. })
    }
}
