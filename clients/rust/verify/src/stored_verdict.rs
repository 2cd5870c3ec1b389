//! The last verdict, as it is stored.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, UnprovenVerdict};
use crate::feature::Features;
use crate::key_set::KeySet;
use crate::policy::Policy;
use crate::verdict::Verdict;

/// The last verdict, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StoredVerdict {
    /// The token of a proof, which is verified again at each decision.
    Proven { token: String },
    /// A verdict that only TLS protected, and the time of the answer.
    Unproven { error: Option<String>, features: Features, lic_exp: Option<i64>, at: i64 },
}

/// A verdict that counts for the policy.
#[derive(Debug)]
pub(crate) struct LastVerdict {
    /// The time of the answer.
    pub(crate) at: i64,
    /// The code of the denial; `None` if the verdict is valid.
    pub(crate) error: Option<String>,
    pub(crate) features: Features,
    /// The end of the license; `None` if it has none.
    pub(crate) ends_at: Option<i64>,
    /// The time from which the software asks again.
    pub(crate) due: i64,
}

impl StoredVerdict {
    /// Returns the verdict and the time of an answer that counts for the policy.
    pub(crate) fn of_answer(answer: &Answer, now: i64, policy: &Policy) -> Option<(Self, i64)> {
        match answer {
            Answer::Proven(proven) if !policy.keys.is_empty() => {
                Some((Self::Proven { token: proven.token().to_owned() }, proven.verdict().iat))
            }
            Answer::Unproven(UnprovenVerdict { error, features, lic_exp, date })
                if policy.keys.is_empty() =>
            {
                let at = date.unwrap_or(now);
                let (error, features, lic_exp) = (error.clone(), features.clone(), *lic_exp);
                Some((Self::Unproven { error, features, lic_exp, at }, at))
            }
            _ => None,
        }
    }

    /// Returns the verdict if it counts for the policy: with public keys, only a proof by a key that is still trusted
    /// counts.
    pub(crate) fn read(&self, keys: &KeySet, policy: &Policy) -> Option<LastVerdict> {
        let (at, error, features, lic_exp, due) = match self {
            Self::Proven { token } => {
                let verdict = Verdict::read(token, keys, &policy.product).ok()?;
                (verdict.iat, verdict.error, verdict.features, verdict.lic_exp, verdict.exp)
            }
            Self::Unproven { error, features, lic_exp, at } if policy.keys.is_empty() => {
                let due = at.saturating_add(policy.check_interval);
                (*at, error.clone(), features.clone(), *lic_exp, due)
            }
            Self::Unproven { .. } => return None,
        };
        // If the server accepted a license that had ended before, its end does not matter.
        let ends_at = lic_exp.filter(|end| *end > at);
        Some(LastVerdict { at, error, features, ends_at, due })
    }
}
