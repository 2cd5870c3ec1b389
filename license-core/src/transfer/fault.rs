//! Why a line of an import is refused.

use crate::activation::ActivationKind;
use crate::key::KeyError;
use crate::license::LicenseId;
use crate::limits;
use crate::plan::Limit;
use crate::verdict::Denial;

/// Why a line is not imported. No message repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportFault {
    /// Longer than [`limits::IMPORT_LINE_BYTES`].
    #[error("the line has more than {} bytes", limits::IMPORT_LINE_BYTES)]
    TooLong,
    /// It is no text, no JSON or no row.
    #[error("{0}")]
    Unreadable(String),
    /// A field can't be read, or is missing.
    #[error("{field}: {why}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such field.
    #[error("{field}: there is no such field")]
    UnknownField {
        /// Its name.
        field: String,
    },
    /// An export of a later version of this software.
    #[error("version {found} of the form of exports is not known here")]
    Version {
        /// The version it says.
        found: u64,
    },
    /// It reads as a key of this server that was mistyped.
    #[error("key: {0}")]
    Key(KeyError),
    /// It is no key of this server, and none of a form that was declared.
    #[error("key: it is neither a key of this server nor of a form that was declared")]
    KeyForm,
    /// Neither key nor id: nothing would tell that it was imported before.
    #[error("a license needs a key or an id, so that it is imported once")]
    Nameless,
    /// Its sealed key does not open, though those of other lines do.
    #[error("sealed_key: it was altered, or sealed for another license or with another secret")]
    Sealed,
    /// A rule refuses.
    #[error("{0}")]
    Denied(Denial),
    /// It holds more slots than it may have.
    #[error("it holds {held} {} of {limit} that it may have", plural(*kind))]
    OverLimit {
        /// Slots of this kind.
        kind: ActivationKind,
        /// How many it holds.
        held: u64,
        /// How many it may have.
        limit: Limit,
    },
    /// The line does not follow that of its license.
    #[error("it does not follow the line of its license")]
    Stray,
    /// The id of an activation is not one that its license gives.
    #[error("id: it is not of this license, or of a number after its last_event")]
    ActivationId,
    /// The license has this id or binding already.
    #[error("the license has this activation already")]
    ActivationTwice,
    /// More than [`limits::IMPORT_ACTIVATIONS`].
    #[error("the license has more than {} activations", limits::IMPORT_ACTIVATIONS)]
    TooManyActivations,
    /// A rollup of a license that neither the store nor a line before has.
    #[error("there is no license {id}")]
    NoLicense {
        /// Its id.
        id: LicenseId,
    },
    /// A rollup of a day whose rollups the store has removed.
    #[error("usage of its day is not kept here any longer")]
    Gone,
    /// A line before has the same id or key.
    #[error("line {line} has the same {what}")]
    Twice {
        /// Which line.
        line: u64,
        /// `id` or `key`; of a rollup all that tells it from others.
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

impl ImportFault {
    pub(super) fn field(field: impl Into<String>, why: &(impl ToString + ?Sized)) -> Self {
        Self::Field { field: field.into(), why: why.to_string() }
    }
}

fn plural(kind: ActivationKind) -> &'static str {
    match kind {
        ActivationKind::Domain => "domains",
        ActivationKind::Device => "devices",
    }
}
