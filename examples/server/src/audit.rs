//! Flags of the audit log.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct AuditFlags {
    /// Days for which audit entries are kept
    #[arg(long, env = "LICENSE_AUDIT_DAYS", value_name = "DAYS", default_value_t = 400,
        value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) audit_days: u32,

    /// Stores the client address of each change in the audit log. Addresses are personal data
    #[arg(long, env = "LICENSE_STORE_ADDRESSES")]
    pub(crate) store_addresses: bool,
}
