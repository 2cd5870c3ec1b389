//! The license key.

use std::fmt;

use license_verify::Digest;

/// A license key. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct LicenseKey(String);

impl LicenseKey {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a digest that tells keys apart. Case and punctuation do not matter, as for the server.
    pub(crate) fn digest(&self) -> String {
        let spelling: String = self
            .0
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|symbol| symbol.to_ascii_uppercase())
            .collect();
        Digest::of_device("license-state-key", &spelling).to_text()
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LicenseKey")
    }
}
