//! Error codes of the HTTP layer. The codes of denials are
//! [`DenialCode`](license_core::validation::DenialCode)s.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:ident $text:literal,)+) => {
        /// An error code. Each code has one status, and its doc comment is its meaning in the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All codes.
            #[cfg(feature = "openapi")]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the code as it appears in JSON.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Returns the status of the response.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// Returns the meaning of the code, which is also the default detail of a problem.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_start(),)+ }
            }
        }
    };
}

codes! {
    /// A header, a parameter or the body is invalid; `field` names it.
    BadRequest = BAD_REQUEST "BAD_REQUEST",
    /// This call accepts no Idempotency-Key: its answer shows a secret once, so a repeated call could not
    /// show it again. Send the request without the header.
    IdempotencyKeyUnsupported = BAD_REQUEST "IDEMPOTENCY_KEY_UNSUPPORTED",
    /// A repeated request would have its effect twice: send an Idempotency-Key.
    IdempotencyKeyRequired = BAD_REQUEST "IDEMPOTENCY_KEY_REQUIRED",
    /// The body is not valid JSON.
    MalformedJson = BAD_REQUEST "MALFORMED_JSON",
    /// The text is not a license key; if a single symbol is wrong, `suggestion` is the corrected key.
    LicenseKeyMalformed = BAD_REQUEST "LICENSE_KEY_MALFORMED",
    /// The text is not a request code or a release code.
    OfflineCodeMalformed = BAD_REQUEST "CODE_MALFORMED",
    /// The text is not a domain.
    DomainInvalid = BAD_REQUEST "DOMAIN_INVALID",
    /// The text is not a device fingerprint.
    FingerprintInvalid = BAD_REQUEST "FINGERPRINT_INVALID",
    /// The API token is missing, unknown, expired or revoked.
    Unauthorized = UNAUTHORIZED "UNAUTHORIZED",
    /// The token lacks a scope; `detail` names it.
    InsufficientScope = FORBIDDEN "INSUFFICIENT_SCOPE",
    /// There is no resource at this path.
    RouteNotFound = NOT_FOUND "ROUTE_NOT_FOUND",
    /// There is no such license.
    LicenseNotFound = NOT_FOUND "LICENSE_NOT_FOUND",
    /// The license has no such activation.
    ActivationNotFound = NOT_FOUND "ACTIVATION_NOT_FOUND",
    /// There is no such token.
    TokenNotFound = NOT_FOUND "TOKEN_NOT_FOUND",
    /// There is no such webhook endpoint.
    EndpointNotFound = NOT_FOUND "ENDPOINT_NOT_FOUND",
    /// There is no such delivery.
    DeliveryNotFound = NOT_FOUND "DELIVERY_NOT_FOUND",
    /// There is no such job.
    JobNotFound = NOT_FOUND "JOB_NOT_FOUND",
    /// This path does not support the method; the Allow header lists the supported ones.
    MethodNotAllowed = METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED",
    /// The body did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT "REQUEST_TIMEOUT",
    /// The maximum number of webhook endpoints is reached.
    EndpointLimitReached = CONFLICT "ENDPOINT_LIMIT_REACHED",
    /// The endpoint is disabled; enable it first.
    EndpointDisabled = CONFLICT "ENDPOINT_DISABLED",
    /// The body is too large.
    PayloadTooLarge = PAYLOAD_TOO_LARGE "PAYLOAD_TOO_LARGE",
    /// Path and query are too long.
    UriTooLong = URI_TOO_LONG "URI_TOO_LONG",
    /// The body must be UTF-8 JSON without a content encoding; `field` names the header.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE",
    /// A field of the body is invalid; `field` names it.
    InvalidField = UNPROCESSABLE_ENTITY "INVALID_FIELD",
    /// The list or report takes too long; narrow its filter or its time range.
    QueryTooBroad = UNPROCESSABLE_ENTITY "QUERY_TOO_BROAD",
    /// Too many calls; `Retry-After` says in how many seconds to try again.
    RateLimited = TOO_MANY_REQUESTS "RATE_LIMITED",
    /// The request headers are too large.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE "HEADERS_TOO_LARGE",
    /// Internal error. The server's log has the details.
    Internal = INTERNAL_SERVER_ERROR "INTERNAL",
    /// The store is unavailable. Try again.
    StoreUnavailable = SERVICE_UNAVAILABLE "STORE_UNAVAILABLE",
    /// The server has too many concurrent calls or connections. Nothing was changed; try again.
    Overloaded = SERVICE_UNAVAILABLE "OVERLOADED",
    /// There is no such customer.
    CustomerNotFound = NOT_FOUND "CUSTOMER_NOT_FOUND",
    /// This order is possible only with filters by product, plan, status and the sorted time.
    SortNotSupported = UNPROCESSABLE_ENTITY "SORT_NOT_SUPPORTED",
    /// The license has no such block.
    BlockNotFound = NOT_FOUND "BLOCK_NOT_FOUND",
    /// The text is not the id of an activation.
    ActivationIdInvalid = BAD_REQUEST "ACTIVATION_ID_INVALID",
    /// There is no such signing key.
    SigningKeyNotFound = NOT_FOUND "SIGNING_KEY_NOT_FOUND",
    /// Tokens of the key before the active one are in use. Software that was offline since the last rotation
    /// may not know the key that would become active.
    SigningKeyRetiring = CONFLICT "SIGNING_KEY_RETIRING",
    /// There is no such product.
    ProductNotFound = NOT_FOUND "PRODUCT_NOT_FOUND",
    /// There is no such plan.
    PlanNotFound = NOT_FOUND "PLAN_NOT_FOUND",
    /// A product has this name already.
    ProductExists = CONFLICT "PRODUCT_EXISTS",
    /// The product has plans, or is the default one, so it cannot be deleted.
    ProductInUse = CONFLICT "PRODUCT_IN_USE",
    /// A plan has this name already.
    PlanExists = CONFLICT "PLAN_EXISTS",
    /// A source such as a file manages the plan; `detail` names it. Change the plan there.
    PlanManaged = CONFLICT "PLAN_MANAGED",
    /// The maximum number of products, of plans, or of versions of the plan is reached.
    CatalogLimitReached = CONFLICT "CATALOG_LIMIT_REACHED",
    /// The plan has changed since the revision in If-Match.
    PlanStale = PRECONDITION_FAILED "PLAN_STALE",
    /// There is no such product; `detail` lists the products.
    ProductUnknown = UNPROCESSABLE_ENTITY "PRODUCT_UNKNOWN",
    /// The search finds another number of licenses than the request expects; `detail` has both numbers.
    CountDiffers = CONFLICT "COUNT_DIFFERS",
    /// The signer of proofs is unavailable. The validation may have been counted; try again.
    SigningUnavailable = SERVICE_UNAVAILABLE "SIGNING_UNAVAILABLE",
    /// The clock of the server is implausible, so that it issues no leases. The operator must check it.
    ClockImplausible = SERVICE_UNAVAILABLE "CLOCK_IMPLAUSIBLE",
}
