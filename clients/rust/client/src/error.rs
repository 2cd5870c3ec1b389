//! Errors, each with a stable code.

/// The reason why a call has failed. No error has the license key in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the server cannot be used.
    #[error("the address of the server is invalid: {0}")]
    InvalidServer(&'static str),
    /// The builder has no product.
    #[error("name the product: Client::builder(…).product(\"editor\")")]
    NoProduct,
    /// The certificates are not PEM.
    #[error("the root certificates are no PEM text with certificates")]
    InvalidCertificates,
    /// This machine has no id that can be read.
    #[error("the id of this machine cannot be read: pass one to ClientBuilder::device_id")]
    NoDeviceId,
    /// The random generator of the system has failed.
    #[error("the random generator of the system has failed")]
    NoRandom,
    /// The client has no license key.
    #[error("this call needs a license key")]
    NoKey,
    /// The server did not answer within the deadline, or something else answered in its place.
    #[error("the server did not answer")]
    NoAnswer,
    /// The server ignored parts of the question, so its answer answers another one.
    #[error("the server is too old for this software: it ignored {}", fields.join(", "))]
    ServerTooOld {
        /// The fields that it ignored.
        fields: Vec<String>,
    },
    /// The server refused.
    #[error("the server refused: {message} ({code})")]
    Refused {
        /// The code of the server, such as `OFFLINE_NOT_ALLOWED`.
        code: String,
        /// The explanation of the server.
        message: String,
    },
    /// A lease, a license file or a code is not accepted.
    #[error(transparent)]
    NotAccepted(#[from] license_verify::Error),
}

impl Error {
    /// Returns the stable code: that of the server for a refusal.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidServer(_) => "INVALID_SERVER",
            Self::NoProduct => "NO_PRODUCT",
            Self::InvalidCertificates => "INVALID_CERTIFICATES",
            Self::NoDeviceId => "NO_DEVICE_ID",
            Self::NoRandom => "NO_RANDOM",
            Self::NoKey => "NO_KEY",
            Self::NoAnswer => "NO_ANSWER",
            Self::ServerTooOld { .. } => "SERVER_TOO_OLD",
            Self::Refused { code, .. } => code,
            Self::NotAccepted(error) => error.code(),
        }
    }
}
