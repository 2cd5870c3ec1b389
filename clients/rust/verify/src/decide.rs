//! The decision whether software may run.

use crate::answer::Answer;
use crate::clock::Reading;
use crate::decision::{Decision, Outcome};
use crate::error::Error;
use crate::feature::Features;
use crate::lease::Lease;
use crate::policy::Policy;
use crate::state::{State, UnusableLease};
use crate::stored_verdict::{LastVerdict, StoredVerdict};
use crate::time::TOLERANCE;

/// Seconds until the first repetition of a question without an answer; each further one waits twice as long.
const FIRST_RETRY: u64 = 60;
/// Longest time until a repetition, also if `Retry-After` is longer: a proxy can send any number.
const LAST_RETRY: u64 = 60 * 60;

/// Decides at `now`, in Unix seconds, whether the software may run. Store the state afterwards.
///
/// The newest signed statement counts. An answer of the server is newer than all before. A valid verdict lasts until
/// its `exp`, and then for the grace of the policy. A lease lasts until its `exp`, without any grace. A denial lasts until
/// the next valid verdict, or until a lease that was issued later.
///
/// ```
/// use license_verify::{Answer, Outcome, Policy, State, decide};
/// let policy = Policy::new("editor", "8f14e45f");
/// let decision = decide(1_800_000_000, &mut State::default(), &Answer::NotAsked, &policy);
/// assert_eq!(decision.outcome.code(), Some("NEVER_CHECKED"));
/// ```
pub fn decide(now: i64, state: &mut State, answer: &Answer, policy: &Policy) -> Decision {
    let answered = StoredVerdict::of_answer(answer, now, policy);
    let is_answered = answered.is_some();
    if let Some((verdict, at)) = answered {
        state.clock.set(at, now);
        state.set_verdict(verdict);
    } else if *answer != Answer::NotAsked {
        state.failures = state.failures.saturating_add(1);
    }
    let reading = state.clock.read(now);
    let basis = Basis::read(state, reading.time, policy);
    let outcome = basis.outcome(state, reading, policy);
    let renew_lease = matches!(&basis.lease, Some(Ok(lease)) if reading.time >= lease.refresh_after);
    let features = if outcome.is_allowed() { basis.features() } else { Features::new() };
    let check_in = match answer {
        Answer::NotAsked => basis.check_in(&outcome, reading),
        _ if is_answered => basis.check_in(&outcome, reading).max(FIRST_RETRY),
        Answer::Missing { retry_after: Some(seconds) } => (*seconds).clamp(1, LAST_RETRY),
        _ => retry_in(state.failures),
    };
    Decision { outcome, features, check_in, renew_lease }
}

/// The statements that a decision is made from.
struct Basis {
    verdict: Option<LastVerdict>,
    verdict_is_newer: bool,
    lease: Option<Result<Lease, UnusableLease>>,
}

impl Basis {
    fn read(state: &State, time: i64, policy: &Policy) -> Self {
        let keys = state.trusted_keys(policy);
        Self {
            verdict: state.last_verdict(&keys, policy),
            verdict_is_newer: state.verdict_is_newer(),
            lease: state.usable_lease(&keys, time, policy),
        }
    }

    /// Returns the verdict if it is the newest signed statement.
    fn newest_verdict(&self) -> Option<&LastVerdict> {
        let lease_counts = match &self.lease {
            Some(Ok(_)) => !self.verdict_is_newer,
            Some(Err(unusable)) => unusable.is_signed && !self.verdict_is_newer,
            None => false,
        };
        if lease_counts { None } else { self.verdict.as_ref() }
    }

    fn outcome(&self, state: &mut State, reading: Reading, policy: &Policy) -> Outcome {
        let result = match self.newest_verdict() {
            Some(LastVerdict { error: Some(code), .. }) => return Outcome::Denied { code: code.clone() },
            verdict => reading.check().and_then(|()| match verdict {
                Some(verdict) => self.by_verdict(verdict, state, reading.time, policy),
                None => self.by_lease(),
            }),
        };
        result.unwrap_or_else(|reason| Outcome::MustCheckOnline { reason })
    }

    fn by_lease(&self) -> Result<Outcome, Error> {
        match &self.lease {
            Some(Ok(_)) => Ok(Outcome::Allowed),
            Some(Err(unusable)) => Err(unusable.error.clone()),
            None => Err(Error::NeverChecked),
        }
    }

    fn by_verdict(
        &self,
        verdict: &LastVerdict,
        state: &mut State,
        time: i64,
        policy: &Policy,
    ) -> Result<Outcome, Error> {
        if let Some(at) = verdict.ends_at
            && time > at.saturating_add(TOLERANCE)
        {
            return Err(Error::LicenseExpired { at });
        }
        if time < verdict.due {
            return Ok(Outcome::Allowed);
        }
        // The grace also begins while a lease lasts, so that it does not extend the lease.
        let until = state.grace_start.get_or_insert(time).saturating_add(policy.grace);
        if matches!(self.lease, Some(Ok(_))) {
            return Ok(Outcome::Allowed);
        }
        let until = verdict.ends_at.map_or(until, |end| until.min(end));
        if time < until {
            Ok(Outcome::AllowedInGrace { until })
        } else {
            Err(Error::GraceEnded { at: until })
        }
    }

    fn features(&self) -> Features {
        match (self.newest_verdict(), &self.lease) {
            (Some(verdict), _) => verdict.features.clone(),
            (None, Some(Ok(lease))) => lease.features.clone(),
            _ => Features::new(),
        }
    }

    /// Returns the seconds until the next question if the last one was answered, or none was asked.
    fn check_in(&self, outcome: &Outcome, reading: Reading) -> u64 {
        let due = match (outcome, self.newest_verdict(), &self.lease) {
            (Outcome::Denied { .. }, ..) => return LAST_RETRY,
            (Outcome::Allowed, ..) if reading.is_behind() => return 0,
            (Outcome::Allowed, Some(verdict), _) => verdict.due,
            (Outcome::Allowed, None, Some(Ok(lease)))
                if lease.iat > reading.time.saturating_add(TOLERANCE) =>
            {
                return 0;
            }
            (Outcome::Allowed, None, Some(Ok(lease))) => lease.refresh_after,
            _ => return 0,
        };
        u64::try_from(due.saturating_sub(reading.time)).unwrap_or(0)
    }
}

fn retry_in(failures: u32) -> u64 {
    // 60 · 2⁶ is more than an hour.
    let doublings = failures.saturating_sub(1).min(6);
    (FIRST_RETRY << doublings).min(LAST_RETRY)
}
