//! What a question to the server has brought.

use crate::feature::Features;
use crate::verdict::ProvenVerdict;

/// The outcome of asking the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The server was not asked: the software decides by what it knows.
    NotAsked,
    /// The server did not answer: a timeout, a fault, a proxy, a portal, or an answer without a valid proof.
    Missing {
        /// The seconds of the header `Retry-After`, if there was one.
        retry_after: Option<u64>,
    },
    /// The server answered, and proved it.
    Proven(ProvenVerdict),
    /// The server answered without a proof. This counts only if the software was built without keys.
    Unproven(UnprovenVerdict),
}

impl Answer {
    /// No answer, without a `Retry-After`: a timeout, or a failed connection.
    pub const MISSING: Self = Self::Missing { retry_after: None };
}

/// A verdict that only TLS protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovenVerdict {
    /// The code of the denial; `None` if the verdict is valid.
    pub error: Option<String>,
    /// The features of the license.
    pub features: Features,
    /// The end of the license, in Unix seconds; `None` if it has none.
    pub lic_exp: Option<i64>,
    /// The time of the header `Date`, in Unix seconds. Without it, the clock of the machine is believed.
    pub date: Option<i64>,
}
