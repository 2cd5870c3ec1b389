//! Answers to validations, as proofs show them.

use crate::catalog::Features;
use crate::license::License;
use crate::validation::{DenialCode, Verdict};

/// The answer to a validation, as a proof shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProvenAnswer<'a> {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The code of the denial; `None` if the verdict is valid.
    pub error: Option<&'a str>,
    /// The license; `None` if there is none, or the software must not learn anything about it.
    pub license: Option<&'a License>,
    /// The features of a valid verdict.
    pub features: Option<&'a Features>,
}

impl<'a> ProvenAnswer<'a> {
    /// The code of the answer if no license has the key.
    pub const NOT_FOUND: &'static str = "LICENSE_NOT_FOUND";

    /// Creates the answer with this verdict and HTTP status.
    #[must_use]
    pub fn of(verdict: &'a Verdict, status: u16) -> Self {
        match verdict {
            Verdict::Valid(valid) => {
                Self { status, error: None, license: Some(valid.license()), features: Some(valid.features()) }
            }
            Verdict::NotFound => Self::without_license(Self::NOT_FOUND, status),
            Verdict::Denied(denied) => {
                let code: DenialCode = denied.code();
                Self { license: denied.license(), ..Self::without_license(code.as_str(), status) }
            }
        }
    }

    /// Creates a denial without a license, such as that of a malformed key.
    #[must_use]
    pub fn without_license(error: &'a str, status: u16) -> Self {
        Self { status, error: Some(error), license: None, features: None }
    }
}
