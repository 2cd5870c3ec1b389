//! Every limit on input, in one place.
//!
//! A value at the limit is accepted, one past it is refused. The HTTP adapter and the rules read these names; no other
//! file writes such a number.

/// Largest request body, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;
/// Largest request head (all header names and values together), in bytes.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Most lines of a request head: as many as hyper takes without room that is made with each request.
pub const HEADERS: usize = 100;
/// Longest request target (path and query), in bytes.
pub const TARGET_BYTES: usize = 4 * 1024;
/// Domains in one list of a request.
pub const DOMAINS_PER_REQUEST: usize = 1_000;
/// Activations of one kind that a license lists in full; further ones are counted and paged only.
pub const LISTED_ACTIVATIONS: u32 = 1_000;
/// Activations of one kind that an event lists; how many there are, it says as well.
pub const EVENT_ACTIVATIONS: u32 = 100;
/// Most activations that a license has inline: it is read with all of them, and any of its claims is answered from memory.
pub const MAX_INLINE_BINDINGS: u64 = 1_000;
/// Longest device fingerprint, in bytes.
pub const FINGERPRINT_BYTES: usize = 255;
/// Longest name and version of a client, in bytes.
pub const CLIENT_BYTES: usize = 128;
/// Longest name of a region, in bytes.
pub const REGION_BYTES: usize = 64;
/// Longest label of an activation, in bytes.
pub const LABEL_BYTES: usize = 100;
/// Devices that one new device may drive out, where a limit was lowered since; past that it is denied.
pub const EVICTIONS: u64 = 32;
/// Longest e-mail address, in bytes (RFC 5321: 254).
pub const EMAIL_BYTES: usize = 254;
/// Longest plan name, in bytes.
pub const PLAN_NAME_BYTES: usize = 64;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Longest name of an API token, in bytes.
pub const TOKEN_NAME_BYTES: usize = 100;
/// Longest name of an action of the audit that may be asked for, in bytes.
pub const ACTION_BYTES: usize = 64;
/// Keys at the top level of a license's metadata.
pub const METADATA_KEYS: usize = 64;
/// Longest metadata as JSON text, in bytes.
pub const METADATA_BYTES: usize = 8 * 1024;
/// Deepest nesting of a license's metadata; the object itself is level 1.
pub const METADATA_DEPTH: usize = 8;
/// Largest page of licenses, activations or validations.
pub const PAGE_ITEMS: u32 = 100;
/// Items of a page when the caller names no number.
pub const PAGE_ITEMS_DEFAULT: u32 = 25;
/// Intervals of one series of usage.
pub const USAGE_INTERVALS: usize = 1_000;
/// Values that a breakdown of usage lists; what the others have, it says in one figure.
pub const USAGE_SHARES: usize = 50;
/// Licenses that the overview of usage lists.
pub const TOP_LICENSES: usize = 10;
/// Longest time that usage may be kept, in days (10 years).
pub const USAGE_DAYS: u32 = 3_653;
/// Largest limit of domains or devices.
pub const MAX_SLOTS: u32 = 10_000_000;
/// Longest term of a plan and longest grace, in days (100 years).
pub const PLAN_DAYS: u32 = 36_525;
/// Features of one plan.
pub const PLAN_FEATURES: usize = 256;
/// Last year that a time may name; RFC 3339 has four digits.
pub const LAST_YEAR: i32 = 9_999;
/// Endpoints of webhooks.
pub const ENDPOINTS: usize = 50;
/// Types of events in one list of an endpoint.
pub const EVENTS_PER_ENDPOINT: usize = 64;
/// Longest URL of an endpoint, in bytes.
pub const ENDPOINT_URL_BYTES: usize = 2_048;
/// Longest description of an endpoint, in bytes.
pub const ENDPOINT_DESCRIPTION_BYTES: usize = 500;
/// What is kept of a receiver's answer, in bytes.
pub const ANSWER_BYTES: usize = 1_024;
/// Longest name of a subscription, in bytes.
pub const SUBSCRIPTION_NAME_BYTES: usize = 64;
/// Attempts that a delivery lists; older ones are forgotten.
pub const LISTED_ATTEMPTS: u32 = 50;
/// Longest license key of another system, in bytes.
pub const FOREIGN_KEY_BYTES: usize = 255;
/// Longest name of a form of keys of another system, in bytes.
pub const FOREIGN_NAME_BYTES: usize = 32;
/// Longest pattern of such a form, in bytes.
pub const FOREIGN_PATTERN_BYTES: usize = 255;
/// Forms of keys of other systems that one database may have.
pub const FOREIGN_FORMATS: usize = 16;
/// Longest line of an import, in bytes: of JSON Lines, or a row of CSV.
pub const IMPORT_LINE_BYTES: usize = 256 * 1024;
/// Activations of one license in an import.
pub const IMPORT_ACTIVATIONS: usize = 1_000_000;
