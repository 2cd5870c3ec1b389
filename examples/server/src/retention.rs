//! Retention flags.

use clap::Args;
use license_core::limits;
use license_core::usage::UsageRetention;

use crate::environment::switch;

#[derive(Debug, Args)]
pub(crate) struct RetentionFlags {
    /// Days for which audit entries are kept
    #[arg(long, env = "LICENSE_AUDIT_DAYS", value_name = "DAYS", default_value_t = 400,
        value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) audit_days: u32,

    /// Stores the client address of each change in the audit log. Addresses are personal data
    #[arg(long, env = "LICENSE_STORE_ADDRESSES", value_parser = switch)]
    pub(crate) store_addresses: bool,

    /// Days that single validations are kept. Reports by hour reach back as far
    #[arg(long, env = "LICENSE_USAGE_DAYS", value_name = "DAYS", default_value_t = UsageRetention::default().record_days,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::USAGE_DAYS)))]
    usage_days: u32,

    /// Days that usage per day is kept; all-time totals are kept permanently
    #[arg(long, env = "LICENSE_ROLLUP_DAYS", value_name = "DAYS", default_value_t = UsageRetention::default().rollup_days,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::USAGE_DAYS)))]
    rollup_days: u32,
}

impl RetentionFlags {
    pub(crate) fn usage(&self) -> UsageRetention {
        UsageRetention { record_days: self.usage_days, rollup_days: self.rollup_days }
    }
}
