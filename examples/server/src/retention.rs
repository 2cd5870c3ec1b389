//! Retention flags.

use clap::Args;
use license_core::limits;
use license_core::usage::UsageRetention;

use crate::duration;
use crate::environment::switch;

#[derive(Debug, Args)]
pub(crate) struct RetentionFlags {
    /// Time for which audit entries are kept, in whole days
    #[arg(long, env = "LICENSE_AUDIT_RETENTION", value_name = "DURATION", default_value = "400d",
        value_parser = duration::days(1, 36_525))]
    pub(crate) audit_retention: u32,

    /// Stores the client address of each change in the audit log. Addresses are personal data
    #[arg(long, env = "LICENSE_STORE_ADDRESSES", value_parser = switch)]
    pub(crate) store_addresses: bool,

    /// Time that single validations are kept, in whole days. Reports by hour reach back as far
    #[arg(long, env = "LICENSE_USAGE_RETENTION", value_name = "DURATION", default_value = "30d",
        value_parser = duration::days(1, limits::USAGE_DAYS))]
    usage_retention: u32,

    /// Time that usage per day is kept, in whole days; all-time totals are kept permanently
    #[arg(long, env = "LICENSE_ROLLUP_RETENTION", value_name = "DURATION", default_value = "730d",
        value_parser = duration::days(1, limits::USAGE_DAYS))]
    rollup_retention: u32,
}

impl RetentionFlags {
    pub(crate) fn usage(&self) -> UsageRetention {
        UsageRetention { record_days: self.usage_retention, rollup_days: self.rollup_retention }
    }
}
