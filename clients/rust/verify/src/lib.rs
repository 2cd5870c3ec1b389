//! Verifies signed license leases and verdicts, and decides whether licensed software may run.
//!
//! The crate is sans-I/O: it has no runtime and no clock, file, socket or random generator of its own. Times are Unix
//! seconds, and random bytes are arguments. No input makes it panic.
//!
//! - [`Lease::verify`] verifies one lease, without a state.
//! - [`decide`] is the state machine of a client: it takes the time, the [`State`], the [`Answer`] of the server and the
//!   [`Policy`] of the software, and returns a [`Decision`].
//! - [`HttpAnswer::read`] tells an answer of the server from those of proxies and portals.
//! - [`State::add_file`] loads a license file; [`State::learn_keys`] and [`State::add_revocations`] take the other tokens.
//! - [`RequestCode`] and [`ReleaseCode`] are for machines without a network.
//!
//! Each [`Error`] has a stable code. The formats are described in `clients/vectors/README.md`, beside test vectors for
//! clients in other languages.
//!
//! ```
//! use license_verify::{Answer, KeySet, Outcome, Policy, PublicKey, State, decide};
//!
//! # let now = 1_800_000_000;
//! # let stored: Option<Vec<u8>> = None;
//! // The public key that the software was built with, and the text that identifies this device.
//! let keys = KeySet::new([PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")?]);
//! let policy = Policy::new("editor", "8f14e45f-ceea-467f").keys(keys);
//!
//! // A state that is damaged is replaced by an empty one.
//! let mut state = stored.and_then(|bytes| State::from_json(&bytes).ok()).unwrap_or_default();
//! let decision = decide(now, &mut state, &Answer::MISSING, &policy);
//! match decision.outcome {
//!     Outcome::Allowed | Outcome::AllowedInGrace { .. } => println!("welcome"),
//!     Outcome::Denied { code } => println!("the license was denied: {code}"),
//!     Outcome::MustCheckOnline { reason } => println!("{reason}"),
//! }
//! # Ok::<(), license_verify::Error>(())
//! ```

mod answer;
mod base64url;
mod clock;
mod code_text;
mod decide;
mod decision;
mod digest;
mod error;
mod feature;
mod http_answer;
mod json;
mod key_set;
mod key_token;
mod lease;
mod license_file;
pub mod limits;
mod nonce;
mod policy;
mod public_key;
mod release_code;
mod request_code;
mod revocations;
mod state;
mod stored_verdict;
mod time;
mod token;
mod verdict;

pub use answer::{Answer, UnprovenVerdict};
pub use decide::decide;
pub use decision::{Decision, Outcome};
pub use digest::Digest;
pub use error::Error;
pub use feature::{FeatureValue, Features};
pub use http_answer::{HttpAnswer, Request};
pub use key_set::KeySet;
pub use key_token::KeyToken;
pub use lease::{LEASE_BACKDATE, Lease};
pub use license_file::LicenseFile;
pub use nonce::Nonce;
pub use policy::Policy;
pub use public_key::PublicKey;
pub use release_code::ReleaseCode;
pub use request_code::RequestCode;
pub use revocations::Revocations;
pub use state::State;
pub use time::{MAX_BEHIND, TOLERANCE};
pub use token::TokenType;
pub use verdict::{ProvenVerdict, Verdict};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
