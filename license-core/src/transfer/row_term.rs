//! The term of an imported license: its start, its end and its updates window.

use chrono::{DateTime, Utc};

use super::error::ImportLineError;
use super::line::{LicenseLine, LineState};
use super::note::ImportNote;
use crate::catalog::{Plan, TermStart, anchor_day};
use crate::command::{start_term, start_updates};
use crate::license::{Expiry, License, LicenseTerm};
use crate::validation::Denial;

/// The parts of a line that decide the term. Those that are `None` come from the plan.
#[derive(Clone, Copy)]
pub(super) struct RowTerm {
    term: LicenseTerm,
    expires_at: Option<Expiry>,
    anchor_day: Option<u8>,
    updates_until: Option<Expiry>,
}

impl RowTerm {
    /// Reads the term of a line. An expired license expires now at the latest.
    pub(super) fn new(
        line: &LicenseLine,
        plan: &Plan,
        created_at: DateTime<Utc>,
        now: DateTime<Utc>,
        notes: &mut Vec<ImportNote>,
    ) -> Result<Self, ImportLineError> {
        let mut expires_at = line.expires_at;
        if line.state == Some(LineState::Expired) {
            let past = expires_at.and_then(Expiry::moment).filter(|at| *at <= now);
            if past.is_none() {
                notes.push(ImportNote::Expired { at: now });
            }
            expires_at = Some(past.unwrap_or(now).into());
        }
        let activated_at = line.activated_at.map(|time| time.0);
        let term = match line.term {
            Some(term) => term.into(),
            None => match plan.term {
                Some(term) if expires_at.is_none() && term.starts == TermStart::FirstUse => {
                    LicenseTerm { starts: TermStart::FirstUse, started_at: activated_at }
                }
                _ => LicenseTerm { starts: TermStart::Issue, started_at: Some(created_at) },
            },
        };
        let (anchor_day, updates_until) = (line.anchor_day, line.updates_until);
        let row = Self { term, expires_at, anchor_day, updates_until };
        row.check(activated_at).map(|()| row)
    }

    fn check(&self, activated_at: Option<DateTime<Utc>>) -> Result<(), ImportLineError> {
        if self.anchor_day.is_some_and(|day| !(1..=31).contains(&day)) {
            return Err(ImportLineError::field("anchor_day", "it must be a day of the month, from 1 to 31"));
        }
        if self.term.started_at.is_some() {
            return Ok(());
        }
        let ends = [self.expires_at, self.updates_until].map(|end| end.and_then(Expiry::moment));
        let has_started = activated_at.is_some() || ends != [None, None];
        if self.term.starts != TermStart::FirstUse || has_started {
            let why = "only a term that waits for the first use has no started_at; such a license has no \
                       activated_at, no expires_at and no updates_until";
            return Err(ImportLineError::field("term", why));
        }
        Ok(())
    }

    /// Sets the term of the license.
    pub(super) fn apply(self, license: &mut License, plan: &Plan) -> Result<(), Denial> {
        let Self { term, expires_at, anchor_day: given_day, updates_until } = self;
        license.term = term;
        let Some(started_at) = term.started_at else { return Ok(()) };
        if let Some(expires_at) = expires_at {
            license.expires_at = expires_at.moment();
            license.anchor_day = license.expires_at.map(|end| anchor_day(end, None));
            start_updates(license, plan, started_at)?;
        } else {
            start_term(license, plan, started_at)?;
        }
        license.updates_until = updates_until.map_or(license.updates_until, Expiry::moment);
        if given_day.is_some() {
            let end = license.expires_at.or(license.updates_until);
            license.anchor_day = end.map(|end| anchor_day(end, given_day));
        }
        Ok(())
    }
}
