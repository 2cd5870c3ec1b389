//! `license-server doctor`: looks for what keeps a server from working, or soon will.

mod certificate;
mod database;
mod finding;
mod machine;
mod running;

use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use license_core::clock::{Clock, SystemClock};

use crate::flags::Flags;
use crate::services::print;
use finding::{Findings, Status};

/// A certificate that ends within this time is reported.
const CERTIFICATE_TIME: TimeDelta = TimeDelta::days(14);

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Looks, and prints one line for each check. Changes nothing. The exit code is 0 if there is no error,
/// and 1 if there is one.
pub(crate) async fn run(args: &DoctorArgs, flags: &Flags) -> Result<ExitCode, String> {
    let now = SystemClock.now();
    let mut findings = Findings::default();
    check_configuration(flags, &mut findings);
    database::check(flags, now, &mut findings).await;
    check_certificate(flags, now, &mut findings);
    machine::check(flags, &mut findings);
    running::check(flags, &mut findings).await;
    print(&if args.json { format!("{}\n", findings.to_json()) } else { findings.to_text() });
    Ok(ExitCode::from(u8::from(findings.worst() == Status::Error)))
}

/// Reads what a start would read, before it opens anything.
fn check_configuration(flags: &Flags, findings: &mut Findings) {
    let read = || {
        flags.key_format()?;
        flags.plans()?;
        flags.admin_token()?;
        flags.network.listen_options()?;
        flags.network.geoip().map(drop)?;
        flags.database.secret().map(drop)
    };
    match read() {
        Ok(()) => findings.ok("configuration", "every setting and its files can be read"),
        Err(error) => findings.error("configuration", format!("{error}; correct the setting")),
    }
}

fn check_certificate(flags: &Flags, now: DateTime<Utc>, findings: &mut Findings) {
    let Some(file) = flags.network.certificate() else {
        return findings.skipped("certificate", "the server has no certificate of its own (--tls-cert)");
    };
    let shown = file.display();
    match certificate::end_of(file) {
        Err(error) => findings.error("certificate", format!("{shown}: {error}")),
        Ok(end) if end <= now => {
            findings
                .error("certificate", format!("{shown} ended at {end}: renew it; running servers load it"));
        }
        Ok(end) if end - now < CERTIFICATE_TIME => {
            findings
                .warning("certificate", format!("{shown} ends at {end}: renew it; running servers load it"));
        }
        Ok(end) => findings.ok("certificate", format!("{shown} ends at {end}")),
    }
}
