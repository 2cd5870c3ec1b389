//! Rate limits and concurrency limits.

mod concurrency_limit;
mod rate;
mod rate_limit;
mod request_limits;

pub use rate::{Rate, RateError, RateLimits};
pub use request_limits::LimitOptions;
pub(crate) use request_limits::{RequestLimits, limit_admin_calls, limit_unauthorized};
