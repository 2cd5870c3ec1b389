//! All limits on input, in one place.
//!
//! A value at the limit is accepted, and one past it is rejected.

use std::ops::RangeInclusive;

/// Largest request body, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;
/// Largest request head, in bytes: all header names and values.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Most headers of a request: as many as hyper parses without allocating.
pub const HEADERS: usize = 100;
/// Longest request target (path and query), in bytes.
pub const TARGET_BYTES: usize = 4 * 1024;
/// Domains in one list of a request.
pub const DOMAINS_PER_REQUEST: usize = 1_000;
/// Activations of one kind that a license lists. Further ones are counted, and listed only page by page.
pub const LISTED_ACTIVATIONS: u32 = 1_000;
/// Activations of one kind that an event lists, with their total.
pub const EVENT_ACTIVATIONS: u32 = 100;
/// Licenses with at most this many bindings are read with all of them, so that the cache answers every claim.
pub const MAX_INLINE_BINDINGS: u64 = 1_000;
/// Longest device fingerprint, in bytes.
pub const FINGERPRINT_BYTES: usize = 255;
/// Longest name and version of a client, in bytes.
pub const CLIENT_BYTES: usize = 128;
/// Longest name of a region, in bytes.
pub const REGION_BYTES: usize = 64;
/// Longest label of an activation, in bytes.
pub const LABEL_BYTES: usize = 100;
/// Longest name of a customer, in bytes.
pub const CUSTOMER_NAME_BYTES: usize = 200;
/// Longest external id of a license, in bytes.
pub const EXTERNAL_ID_BYTES: usize = 128;
/// Devices that one new device can evict after a limit was lowered. Beyond that, the new device is denied.
pub const EVICTIONS: u64 = 32;
/// Longest e-mail address, in bytes (RFC 5321: 254).
pub const EMAIL_BYTES: usize = 254;
/// Longest plan name, in bytes.
pub const PLAN_NAME_BYTES: usize = 64;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Days for which a used idempotency key is kept.
pub const IDEMPOTENCY_KEY_DAYS: u32 = 30;
/// Days for which ended sessions and links are listed.
pub const SESSION_DAYS: u32 = 30;
/// Licenses of one bulk job.
pub const BULK_JOB_LICENSES: u32 = 100_000;
/// Ids that one request for a bulk job can list.
pub const BULK_JOB_IDS: usize = 1_500;
/// Licenses on which a dry run of a bulk job decides the action.
pub const DRY_RUN_LICENSES: u32 = 5_000;
/// Days for which a finished bulk job is kept.
pub const BULK_JOB_DAYS: u32 = 30;
/// Longest name of an API token, in bytes.
pub const TOKEN_NAME_BYTES: usize = 100;
/// Longest audit action in a query, in bytes.
pub const ACTION_BYTES: usize = 64;
/// Keys at the top level of a license's metadata.
pub const METADATA_KEYS: usize = 64;
/// Members of the metadata that one search can name.
pub const SEARCHED_METADATA: usize = 8;
/// A search counts the licenses that match up to this number.
pub const SEARCH_COUNT: u64 = 10_000;
/// Longest text in the metadata that a search can find, and longest name of its member, in bytes.
pub const INDEXED_METADATA_BYTES: usize = 128;
/// Longest metadata as JSON text, in bytes.
pub const METADATA_BYTES: usize = 8 * 1024;
/// Deepest nesting of metadata; the object itself is level 1.
pub const METADATA_DEPTH: usize = 8;
/// Largest page of licenses, activations or validations.
pub const PAGE_ITEMS: u32 = 100;
/// Default page size.
pub const PAGE_ITEMS_DEFAULT: u32 = 25;
/// Intervals of one usage series.
pub const USAGE_INTERVALS: usize = 1_000;
/// Values that a usage breakdown lists; the others are summed.
pub const USAGE_SHARES: usize = 50;
/// Licenses that the usage overview lists.
pub const TOP_LICENSES: usize = 10;
/// Longest retention of usage, in days (10 years).
pub const USAGE_DAYS: u32 = 3_653;
/// Largest domain or device limit.
pub const MAX_SLOTS: u32 = 10_000_000;
/// Longest term, grace or idle time of a plan, in days (100 years).
pub const PLAN_DAYS: u32 = 36_525;
/// Longest term or updates window of a plan, in months (100 years).
pub const PLAN_MONTHS: u32 = 1_200;
/// Longest term or updates window of a plan, in years.
pub const PLAN_YEARS: u32 = 100;
/// Exempt hosts that one plan lists.
pub const EXEMPT_HOSTS: usize = 100;
/// Features of one plan.
pub const PLAN_FEATURES: usize = 256;
/// Last year of a time; RFC 3339 has four digits.
pub const LAST_YEAR: i32 = 9_999;
/// Webhook endpoints.
pub const ENDPOINTS: usize = 50;
/// Event types in one list of an endpoint.
pub const EVENTS_PER_ENDPOINT: usize = 64;
/// Longest URL of an endpoint, in bytes.
pub const ENDPOINT_URL_BYTES: usize = 2_048;
/// Longest description of an endpoint, in bytes.
pub const ENDPOINT_DESCRIPTION_BYTES: usize = 500;
/// Stored part of a receiver's response, in bytes.
pub const ANSWER_BYTES: usize = 1_024;
/// Longest name of a subscription, in bytes.
pub const SUBSCRIPTION_NAME_BYTES: usize = 64;
/// Reminders before the end of a term.
pub const REMINDERS: usize = 10;
/// Days before the end of a term at which a reminder can be sent.
pub const REMINDER_DAYS: RangeInclusive<u16> = 1..=365;
/// Attempts that a delivery lists; older ones are dropped.
pub const LISTED_ATTEMPTS: u32 = 50;
/// Longest imported license key, in bytes.
pub const IMPORTED_KEY_BYTES: usize = 255;
/// Fewest bits of entropy of keys that cannot be found by guessing.
pub const GUESSABLE_BITS: u32 = 60;
/// Longest name of an imported key format, in bytes.
pub const IMPORTED_FORMAT_NAME_BYTES: usize = 32;
/// Longest pattern of an imported key format, in bytes.
pub const IMPORTED_FORMAT_PATTERN_BYTES: usize = 255;
/// Imported key formats of one database.
pub const IMPORTED_KEY_FORMATS: usize = 16;
/// Longest line of an import, in bytes: a JSON line or a CSV row.
pub const IMPORT_LINE_BYTES: usize = 256 * 1024;
/// Activations of one license in an import.
pub const IMPORT_ACTIVATIONS: usize = 1_000_000;
/// Longest name of a feature, in bytes.
pub const FEATURE_NAME_BYTES: usize = 64;
/// Longest text of a feature, in bytes.
pub const FEATURE_TEXT_BYTES: usize = 256;
/// Features that one validation can ask for.
pub const FEATURES_PER_REQUEST: usize = 64;
/// Grants of one license.
pub const GRANTS: usize = 64;
/// Longest source of a grant, in bytes.
pub const GRANT_SOURCE_BYTES: usize = 100;
/// Longest reason of a change, in bytes.
pub const REASON_BYTES: usize = 255;
/// Blocked domains and devices of one license. They are read with the license.
pub const BLOCKS: usize = 100;
/// Licenses of one batch.
pub const BATCH_LICENSES: u32 = 1_000;
/// Domains of all licenses of one batch.
pub const BATCH_DOMAINS: usize = 10_000;
/// Activations that a customer can list.
pub const CUSTOMER_ACTIVATIONS: u32 = 500;
/// Longest display name of a product, in bytes.
pub const PRODUCT_DISPLAY_NAME_BYTES: usize = 100;
/// Products.
pub const PRODUCTS: usize = 100;
/// Plans, archived ones included.
pub const PLANS: usize = 500;
/// Versions of one plan.
pub const PLAN_VERSIONS: usize = 500;
/// Slots that one command frees because their leases were handed back.
pub const RELEASED_AT_ONCE: u32 = 100;
/// Leases in the answer to a change that does not reach them.
pub const OUTSTANDING_LEASES: u32 = 100;
/// Fewest bytes of a nonce: 128 bits.
pub const NONCE_MIN_BYTES: usize = 16;
/// Most bytes of a nonce.
pub const NONCE_MAX_BYTES: usize = 64;
/// Keys in one key token.
pub const KEY_TOKEN_KEYS: usize = 16;
/// Revoked keys in one key token.
pub const KEY_TOKEN_REVOKED: usize = 256;
/// Key tokens with one answer, and in one license file.
pub const KEY_TOKENS: usize = 4;
/// Last second of the year 9999, the largest time in a token.
pub const TOKEN_LAST_SECOND: i64 = 253_402_300_799;
