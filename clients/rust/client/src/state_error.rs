//! What can go wrong with the state file.

use std::io;

/// The reason why the state on disk was refused or not written. The client decides by an empty state, or by that in
/// its memory; one answer of the server or one license file repairs it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file was written on another device, or for another product.
    #[error("the license state is of another device or product, and was refused: go online once")]
    OtherDevice,
    /// The file was written for another license key.
    #[error("the license state is of another license key, and was refused: go online once")]
    OtherKey,
    /// The file was written by another version of the software.
    #[error("the license state is of another version, and was refused: go online once")]
    OtherVersion,
    /// The file is damaged, or was edited.
    #[error("the license state is damaged, and was refused: go online once")]
    Damaged,
    /// The file cannot be read.
    #[error("the license state cannot be read")]
    Unreadable(#[source] io::Error),
    /// The file cannot be written, so the next start of the software does not know this answer.
    #[error("the license state cannot be written: make its folder writable")]
    Unwritable(#[source] io::Error),
}

impl StateError {
    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherDevice => "STATE_OF_OTHER_DEVICE",
            Self::OtherKey => "STATE_OF_OTHER_KEY",
            Self::OtherVersion => "STATE_OF_OTHER_VERSION",
            Self::Damaged => "STATE_DAMAGED",
            Self::Unreadable(_) => "STATE_UNREADABLE",
            Self::Unwritable(_) => "STATE_UNWRITABLE",
        }
    }
}
