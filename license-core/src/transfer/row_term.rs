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
    expires_at: Option<Option<DateTime<Utc>>>,
    anchor_day: Option<Option<u8>>,
    updates_until: Option<Option<DateTime<Utc>>>,
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
        let mut expires_at = line.expires_at.map(Expiry::moment);
        if line.state == Some(LineState::Expired) {
            let past = expires_at.flatten().filter(|at| *at <= now);
            if past.is_none() {
                notes.push(ImportNote::Expired { at: now });
            }
            expires_at = Some(past.or(Some(now)));
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
        let updates_until = line.updates_until.map(|until| until.map(|time| time.0));
        let row = Self { term, expires_at, anchor_day: line.anchor_day, updates_until };
        row.check(activated_at).map(|()| row)
    }

    fn check(&self, activated_at: Option<DateTime<Utc>>) -> Result<(), ImportLineError> {
        if self.anchor_day.flatten().is_some_and(|day| !(1..=31).contains(&day)) {
            return Err(ImportLineError::field("anchor_day", "it must be a day of the month, from 1 to 31"));
        }
        if self.term.started_at.is_some() {
            return Ok(());
        }
        let started = activated_at.or(self.expires_at.flatten()).or(self.updates_until.flatten());
        if self.term.starts != TermStart::FirstUse || started.is_some() {
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
            license.expires_at = expires_at;
            license.anchor_day = expires_at.map(|end| anchor_day(end, None));
            start_updates(license, plan, started_at)?;
        } else {
            start_term(license, plan, started_at)?;
        }
        license.updates_until = updates_until.unwrap_or(license.updates_until);
        if let Some(given_day) = given_day {
            let end = license.expires_at.or(license.updates_until);
            license.anchor_day = end.map(|end| anchor_day(end, given_day));
        }
        Ok(())
    }
}
