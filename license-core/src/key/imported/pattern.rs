//! The pattern of an imported key format: a regular expression that a whole key must match.

use regex::bytes::{Regex, RegexBuilder};

use super::ImportedKeyFormatError;

/// Maximum size of a compiled pattern, in bytes: it runs on untrusted input.
const PROGRAM_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, ImportedKeyFormatError> {
        // Keys are ASCII.
        let build = |text: &str| RegexBuilder::new(text).unicode(false).size_limit(PROGRAM_BYTES).build();
        // Compiled alone first: inside the group, an invalid pattern such as `a)|(?:b` would be valid.
        let whole = build(text).and_then(|_| build(&format!(r"\A(?:{text})\z")));
        whole.map(Self).map_err(|error| ImportedKeyFormatError::Pattern(last_line(&error)))
    }

    pub(super) fn matches(&self, key: &[u8]) -> bool {
        self.0.is_match(key)
    }
}

/// Returns the last line of the error. The lines before it only show the pattern.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
