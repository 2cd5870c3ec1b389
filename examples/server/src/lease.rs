//! `license-server lease`: leases for machines without a network.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use license_core::access::{Actor, Principal};
use license_core::service::{LeaseAnswer, LeaseLimit, Services, SignedLease};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::database::Database;
use crate::duration;
use crate::flags::Flags;
use crate::services::{note, print, with_services};

/// Longest text of a code.
const CODE_BYTES: u64 = 64 * 1024;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("code").required(true))]
pub(crate) struct LeaseArgs {
    /// File with the request code that the software shows (LREQ1-…); - is standard input. The code contains
    /// the license key, so it is no argument
    #[arg(long, value_name = "FILE", group = "code")]
    request: Option<PathBuf>,

    /// File with the release code of a lease that is handed back (LREL1-…); - is standard input
    #[arg(long, value_name = "FILE", group = "code")]
    release: Option<PathBuf>,

    /// Wanted duration of the lease, in whole days; by default as long as the plan allows
    #[arg(long, value_name = "DURATION", requires = "request", value_parser = duration::days(1, 36_525))]
    duration: Option<u32>,

    /// Prints the license file as a QR code
    #[arg(long, requires = "request")]
    qr: bool,
}

/// Runs the command on an existing database.
pub(crate) async fn run(args: &LeaseArgs, flags: &Flags) -> Result<ExitCode, String> {
    let database = Database::parse(&flags.database)?;
    if database.is_new() {
        return Err(format!("{database} does not exist; start the server once, which creates it"));
    }
    let code = read(args.request.as_deref().or(args.release.as_deref()).unwrap_or(Path::new("-")))?;
    with_services(flags, &database, false, async |services| {
        if args.release.is_some() {
            return release(&code, services).await;
        }
        let lease = issue(&code, args.duration, services).await?;
        match lease.limited_by {
            Some(LeaseLimit::Plan) => note("the plan allows fewer days"),
            Some(LeaseLimit::License) => note("the license ends earlier"),
            None => {}
        }
        note(&format!("the lease ends at {}", lease.lease.expires_at.format("%Y-%m-%dT%H:%M:%SZ")));
        print(&if args.qr { qr(&lease.file)? } else { lease.file });
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn issue(code: &str, days: Option<u32>, services: &Services) -> Result<SignedLease, String> {
    let actor = Arc::new(Actor::new(Principal::CommandLine));
    match services.leases.issue_by_code(code, days, &actor).await {
        Ok(LeaseAnswer::Lease(lease)) => Ok(*lease),
        Ok(LeaseAnswer::NotFound) => Err("there is no license with the key of this request".to_owned()),
        Ok(LeaseAnswer::Denied(denied)) => Err(format!("{}: {denied}", denied.code())),
        Err(error) => Err(error.to_string()),
    }
}

async fn release(code: &str, services: &Services) -> Result<(), String> {
    let actor = Actor::new(Principal::CommandLine);
    let returned = services.leases.hand_back_by_code(code, actor).await.map_err(|error| error.to_string())?;
    match returned.free_at {
        None => note("the slot of the device is free"),
        Some(at) => note(&format!("the slot of the device is free at {}", at.format("%Y-%m-%dT%H:%M:%SZ"))),
    }
    Ok(())
}

/// Reads a code from a file or from standard input.
fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(CODE_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(CODE_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text)
}

/// Returns a QR code of half blocks.
fn qr(file: &str) -> Result<String, String> {
    let code = QrCode::with_error_correction_level(file.trim_end(), EcLevel::L)
        .map_err(|_| "the license file is too long for a QR code; leave out --qr".to_owned())?;
    let mut renderer = code.render::<Dense1x2>();
    // Dark on light, as scanners expect, on the dark background that terminals have.
    let drawn = renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Ok(format!("{drawn}\n"))
}
