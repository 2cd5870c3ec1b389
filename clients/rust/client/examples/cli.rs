//! A command line program that licenses itself, online and offline.
//!
//! ```text
//! export LICENSE_SERVER=https://licenses.example.com   # http://localhost:8080 for a server on this machine
//! # The active key and the next one: `x` of GET /.well-known/jwks.json. A real program has them compiled in.
//! export LICENSE_PUBLIC_KEYS=11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo,…
//! export LICENSE_PRODUCT=editor                        # the default is "default"
//! export LICENSE_KEY_FILE=key.txt                      # or LICENSE_KEY; never an argument: others can read those
//!
//! cargo run -p license-client --example cli -- --state ~/.demo check           # or check-now
//! cargo run -p license-client --example cli -- --state ~/.demo fetch-lease
//! cargo run -p license-client --example cli -- --state ~/.demo request         # a code, also as a QR code
//! cargo run -p license-client --example cli -- --state ~/.demo add-file < lease.txt
//! cargo run -p license-client --example cli -- --state ~/.demo return-lease
//! cargo run -p license-client --example cli -- --state ~/.demo fetch-revocations
//! cargo run -p license-client --example cli -- --state ~/.demo devices
//! cargo run -p license-client --example cli -- --state ~/.demo release-device act_…
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::error::Error;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use license_client::{Check, Client, Outcome, PublicKey};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

const USAGE: &str = "usage: cli --state FOLDER COMMAND
\
    commands: check, check-now, fetch-lease, request, add-file, return-lease, fetch-revocations, devices, release-device ID";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["--state", folder, command @ ..] = &arguments[..] else { return Err(USAGE.into()) };
    let client = client(Path::new(folder))?;
    match command {
        ["check"] => return Ok(report(&client.check())),
        ["check-now"] => return Ok(report(&client.check_now())),
        ["fetch-lease"] => println!("the lease ends at {}", client.fetch_lease(None)?.exp),
        ["request"] => {
            let code = client.begin_request()?.to_text();
            let qr = QrCode::with_error_correction_level(&code, EcLevel::L)?;
            println!("{}\n{code}", qr.render::<Dense1x2>().build());
        }
        ["fetch-revocations"] => client.fetch_revocations()?,
        ["add-file"] => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            println!("the lease ends at {}", client.add_license_file(&text)?.exp);
        }
        ["return-lease"] => {
            let code = client.return_lease()?;
            if let Err(error) = client.send_release(&code) {
                println!("{error}: hand in this code instead\n{}", code.to_text());
            }
        }
        ["devices"] => {
            for device in client.devices()? {
                let here = if device.current { " (this one)" } else { "" };
                println!("{} {} {}{here}", device.id, device.kind, device.name);
            }
        }
        ["release-device", id] => client.release_device(id)?,
        _ => return Err(USAGE.into()),
    }
    Ok(true)
}

fn client(folder: &Path) -> Result<Client, Box<dyn Error>> {
    let server = env::var("LICENSE_SERVER").map_err(|_| "set LICENSE_SERVER")?;
    let product = env::var("LICENSE_PRODUCT").unwrap_or_else(|_| "default".to_owned());
    let mut builder = Client::builder(&server).product(&product).state_file(folder.join("license-state"));
    if let Ok(keys) = env::var("LICENSE_PUBLIC_KEYS") {
        let keys: Result<Vec<_>, _> = keys.split(',').map(PublicKey::parse).collect();
        builder = builder.public_keys(keys?);
    }
    if let Ok(path) = env::var("LICENSE_KEY_FILE") {
        builder = builder.license_key(&fs::read_to_string(path)?);
    } else if let Ok(key) = env::var("LICENSE_KEY") {
        builder = builder.license_key(&key);
    }
    Ok(builder.build()?)
}

/// Returns whether the program may run.
fn report(check: &Check) -> bool {
    if !check.ignored.is_empty() {
        eprintln!("the server is too old for this program: it ignored {}", check.ignored.join(", "));
    }
    if let Some(error) = &check.state_error {
        eprintln!("{error}");
    }
    match &check.decision.outcome {
        Outcome::Allowed => println!("licensed"),
        Outcome::AllowedInGrace { until } => println!("licensed until {until}: the server cannot be reached"),
        Outcome::Denied { code } => println!("denied: {code}"),
        Outcome::MustCheckOnline { reason } => println!("{reason} ({})", reason.code()),
    }
    check.is_allowed()
}
