//! The codes of what goes wrong here; those of rules are [`DenialCode`](license_core::verdict::DenialCode)s.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:ident $text:literal,)+) => {
        /// What is wrong, as callers' programs read it. Each has one status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code.
            #[cfg(feature = "openapi")]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it stands in JSON.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it means.
            #[cfg(feature = "openapi")]
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

codes! {
    /// A header, a parameter or the body can't be used; `field` says which.
    BadRequest = BAD_REQUEST "BAD_REQUEST",
    /// The body is not JSON.
    MalformedJson = BAD_REQUEST "MALFORMED_JSON",
    /// The text is no license key; `suggestion` has one where a single symbol is wrong.
    LicenseKeyMalformed = BAD_REQUEST "LICENSE_KEY_MALFORMED",
    /// The text is no domain.
    DomainInvalid = BAD_REQUEST "DOMAIN_INVALID",
    /// The text is no fingerprint.
    FingerprintInvalid = BAD_REQUEST "FINGERPRINT_INVALID",
    /// The text is no name and version of a client.
    ClientInvalid = BAD_REQUEST "CLIENT_INVALID",
    /// The request has no API token, or one that is not known, has expired or is revoked.
    Unauthorized = UNAUTHORIZED "UNAUTHORIZED",
    /// The token lacks a scope, which `detail` names.
    InsufficientScope = FORBIDDEN "INSUFFICIENT_SCOPE",
    /// There is nothing at this path.
    RouteNotFound = NOT_FOUND "ROUTE_NOT_FOUND",
    /// There is no such license.
    LicenseNotFound = NOT_FOUND "LICENSE_NOT_FOUND",
    /// The license has no such activation.
    ActivationNotFound = NOT_FOUND "ACTIVATION_NOT_FOUND",
    /// There is no such token.
    TokenNotFound = NOT_FOUND "TOKEN_NOT_FOUND",
    /// There is no such endpoint of webhooks.
    EndpointNotFound = NOT_FOUND "ENDPOINT_NOT_FOUND",
    /// There is no such delivery.
    DeliveryNotFound = NOT_FOUND "DELIVERY_NOT_FOUND",
    /// The path does not have that method; `Allow` names those it has.
    MethodNotAllowed = METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED",
    /// The body did not come in time.
    RequestTimeout = REQUEST_TIMEOUT "REQUEST_TIMEOUT",
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused = CONFLICT "IDEMPOTENCY_KEY_REUSED",
    /// There are as many endpoints as there may be.
    EndpointLimitReached = CONFLICT "ENDPOINT_LIMIT_REACHED",
    /// The endpoint is disabled; enable it first.
    EndpointDisabled = CONFLICT "ENDPOINT_DISABLED",
    /// The body is too large.
    PayloadTooLarge = PAYLOAD_TOO_LARGE "PAYLOAD_TOO_LARGE",
    /// Path and query are too long.
    UriTooLong = URI_TOO_LONG "URI_TOO_LONG",
    /// The body has to be JSON in UTF-8, without an encoding; `field` names the header.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE",
    /// A field of the body can't be used; `field` says which.
    InvalidField = UNPROCESSABLE_ENTITY "INVALID_FIELD",
    /// Too many calls; `Retry-After` says in how many seconds to try again.
    RateLimited = TOO_MANY_REQUESTS "RATE_LIMITED",
    /// The headers are too large.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE "HEADERS_TOO_LARGE",
    /// Something went wrong here; it is in the server's log.
    Internal = INTERNAL_SERVER_ERROR "INTERNAL",
    /// This server keeps no order of events, and has no webhooks.
    NoEvents = NOT_IMPLEMENTED "NO_EVENTS",
    /// The store does not answer. Nothing was done; try again.
    StoreUnavailable = SERVICE_UNAVAILABLE "STORE_UNAVAILABLE",
    /// More calls are under way, or more connections are open, than this server takes at once. Nothing was done; try again.
    Overloaded = SERVICE_UNAVAILABLE "OVERLOADED",
}
