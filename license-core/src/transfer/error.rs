//! Errors of the lines of an import.

use crate::catalog::Limit;
use crate::key::KeyError;
use crate::license::ActivationKind;
use crate::license::LicenseId;
use crate::limits;
use crate::validation::Denial;

/// The reason why a line is not imported. Messages never repeat a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportLineError {
    /// Longer than [`limits::IMPORT_LINE_BYTES`].
    #[error("the line has more than {} bytes", limits::IMPORT_LINE_BYTES)]
    TooLong,
    /// The line is not text, not JSON or not a row of the table.
    #[error("{0}")]
    Unreadable(String),
    /// A field is invalid or missing.
    #[error("{field}: {why}")]
    Field {
        /// The name of the field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The field is unknown.
    #[error("{field}: unknown field")]
    UnknownField {
        /// The name of the field.
        field: String,
    },
    /// The export format is newer than this software.
    #[error("export format version {found} is not supported: import with a newer version of this software")]
    Version {
        /// The version in the line.
        found: u64,
    },
    /// The key is a mistyped key of this server.
    #[error("key: {0}")]
    Key(KeyError),
    /// The key matches neither this server's format nor a declared format.
    #[error("key: it is neither a key of this server nor in a declared key format")]
    KeyForm,
    /// The line has neither key nor id, so that a second import could not recognise it.
    #[error("a license needs a key or an id, so that it is imported once")]
    Nameless,
    /// The sealed key does not open, although those of other lines do.
    #[error("sealed_key: it was altered, or sealed for another license or with another secret")]
    Sealed,
    /// A rule denies the license.
    #[error("{0}")]
    Denied(Denial),
    /// The license holds more slots than its limit.
    #[error("it holds {held} {}, but its limit is {limit}", plural(*kind))]
    OverLimit {
        /// The kind of slot.
        kind: ActivationKind,
        /// Slots in use.
        held: u64,
        /// The limit.
        limit: Limit,
    },
    /// An activation does not follow its license.
    #[error("it does not follow the line of its license")]
    Stray,
    /// The id of the activation does not belong to its license.
    #[error("id: it is not of this license, or of a number after its last_event")]
    ActivationId,
    /// The license already has this id or binding.
    #[error("the license has this activation already")]
    ActivationTwice,
    /// More than [`limits::IMPORT_ACTIVATIONS`].
    #[error("the license has more than {} activations", limits::IMPORT_ACTIVATIONS)]
    TooManyActivations,
    /// The license of a rollup is neither in the store nor in an earlier line.
    #[error("there is no license {id}")]
    NoLicense {
        /// Its id.
        id: LicenseId,
    },
    /// The store has removed the rollups of this day.
    #[error("usage of this day has been removed here")]
    Gone,
    /// An earlier line has the same id or key.
    #[error("line {line} has the same {what}")]
    Twice {
        /// The earlier line.
        line: u64,
        /// `id` or `key`, or the key fields of a rollup.
        what: &'static str,
    },
    /// The store has a license with this id and another key.
    #[error("there is another license {id}")]
    IdTaken {
        /// The id.
        id: LicenseId,
    },
    /// The store has another license with this key.
    #[error("the license {by} has this key")]
    KeyTaken {
        /// The other license.
        by: LicenseId,
    },
}

impl ImportLineError {
    pub(crate) fn field(field: impl Into<String>, why: &(impl ToString + ?Sized)) -> Self {
        Self::Field { field: field.into(), why: why.to_string() }
    }
}

fn plural(kind: ActivationKind) -> &'static str {
    match kind {
        ActivationKind::Domain => "domains",
        ActivationKind::Device => "devices",
    }
}
