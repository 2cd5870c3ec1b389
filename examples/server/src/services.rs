//! The services of a database, for commands.

use std::io::{ErrorKind, Write};
use std::sync::Arc;

use license_core::clock::{SystemClock, SystemRng};
use license_core::service::{ServiceOptions, Services};
use license_store::sql::OpenError;

use crate::database::Database;
use crate::flags::Flags;
use crate::{secret, setup_error};

/// Opens the database, runs `work`, and closes it. If the database does not exist, a dry run uses an empty
/// one in memory.
pub(crate) async fn with_services<T>(
    flags: &Flags,
    database: &Database,
    dry_run: bool,
    work: impl AsyncFnOnce(&Services) -> Result<T, String>,
) -> Result<T, String> {
    if matches!(database, Database::Memory) {
        return Err("memory: belongs to one process; name the database of the server".to_owned());
    }
    let (key_format, plans) = (flags.key_format()?, flags.plans()?);
    database.check()?;
    let starting = database.lock_folder();
    let is_new = database.is_new();
    let target = if is_new && dry_run { &Database::Memory } else { database };
    let has_secret = database.secret_file().is_some_and(|file| file.exists());
    // An import is one way to fill a new database whose secret was copied from another machine.
    let secret = secret::load(if has_secret { database } else { target }, &flags.database, true)?;
    let store = match target.try_open(is_new).await {
        Err(OpenError::OlderSchema { found: 0, .. }) if dry_run => Database::Memory.open(true).await,
        // Commands create tables, but do not change those of an earlier version.
        Err(OpenError::OlderSchema { found: 0, .. }) => target.open(true).await,
        opened => opened.map_err(|error| target.failed(&error)),
    };
    let store = store.inspect_err(|_| secret.discard(target))?;
    drop(starting);
    if is_new && !dry_run {
        note(&format!("{database}: new; secret: {}", secret.note));
    }
    let options = ServiceOptions::new(&secret.secret, SystemClock, SystemRng);
    let options = options.key_format(key_format).keep_catalog();
    let options = match plans {
        Some((plans, file)) => options.plans_of(plans, file),
        None => options,
    };
    let result = match Services::open(Arc::clone(&store), options).await {
        Ok(services) => work(&services).await,
        Err(error) => Err(setup_error(database, &error)),
    };
    store.close().await;
    result
}

/// Writes the output of a command.
#[expect(clippy::print_stdout, reason = "output of the command")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Writes the output of a command to standard output. A reader that closes it early, such as `head`, is no
/// error.
pub(crate) fn write(output: &[u8]) -> Result<(), String> {
    match std::io::stdout().write_all(output) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write the output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a message to the user of a command.
#[expect(clippy::print_stderr, reason = "message to the user of the command")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
