//! How long usage is kept.

use clap::Args;
use license_core::limits;
use license_core::usage::UsageRetention;

#[derive(Debug, Args)]
pub(crate) struct UsageFlags {
    /// Days for which single validations are kept: as long as hours, and parts of days, can be reported
    #[arg(long, env = "LICENSE_USAGE_DAYS", value_name = "DAYS", default_value_t = UsageRetention::default().record_days,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::USAGE_DAYS)))]
    usage_days: u32,

    /// Days for which usage by day is kept; totals of all time are kept for ever
    #[arg(long, env = "LICENSE_ROLLUP_DAYS", value_name = "DAYS", default_value_t = UsageRetention::default().rollup_days,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::USAGE_DAYS)))]
    rollup_days: u32,
}

impl UsageFlags {
    pub(crate) fn retention(&self) -> UsageRetention {
        UsageRetention { record_days: self.usage_days, rollup_days: self.rollup_days }
    }
}
