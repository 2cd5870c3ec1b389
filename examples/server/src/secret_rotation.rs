//! `license-server secret`: checks and rotates the secret of a database.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use license_core::access::{Actor, Principal};
use license_core::clock::{SystemClock, SystemRng};
use license_core::error::SetupError;
use license_core::key::{DataKeysError, Secret};
use license_core::service::{ClockAndRng, Rotated, SecretService};

use crate::database::{Database, beside};
use crate::flags::DatabaseFlags;
use crate::services::print;

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Tells whether the secret opens the database: exit code 0 if it does, 1 if it does not
    Check,
    /// Seals the data keys with a new secret in one commit. License keys stay valid, and running servers go
    /// on; each needs the new secret at its next start. A rotation that was interrupted can be repeated
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// File with the new secret, 64 hex digits; created with a random one if it does not exist. Required
    /// unless the secret is in the file next to the SQLite database, which then gets the new one
    #[arg(long, value_name = "FILE")]
    new_secret_file: Option<PathBuf>,
}

/// Runs the command on an existing database.
pub(crate) async fn run(command: &SecretCommand, flags: &DatabaseFlags) -> Result<ExitCode, String> {
    let database = Database::parse(flags)?;
    let current = current(&database, flags)?;
    match command {
        SecretCommand::Check => check(&database, &current).await,
        SecretCommand::Rotate(args) => rotate(args, &database, &current).await.map(|()| ExitCode::SUCCESS),
    }
}

/// The current secret.
struct Current {
    secret: Secret,
    /// Source, for messages.
    name: String,
    /// The file next to the database, if the secret is from there.
    file: Option<PathBuf>,
}

fn current(database: &Database, flags: &DatabaseFlags) -> Result<Current, String> {
    if let Some(secret) = flags.secret()? {
        return Ok(Current { secret, name: flags.secret.name().to_owned(), file: None });
    }
    let missing = "set LICENSE_SECRET or --secret-file to the secret of the database";
    let file = database.secret_file().ok_or(missing)?;
    let name = file.display().to_string();
    let secret = Secret::load(&file).map_err(text)?.ok_or_else(|| format!("{name} is missing; {missing}"))?;
    Ok(Current { secret, name, file: Some(file) })
}

async fn check(database: &Database, current: &Current) -> Result<ExitCode, String> {
    let checked = on_database(database, async |service| service.check(&current.secret).await).await?;
    match checked {
        Ok(()) => {
            print(&format!("{} is the secret of {database}\n", current.name));
            Ok(ExitCode::SUCCESS)
        }
        Err(SetupError::DataKeys(DataKeysError::WrongSecret)) => {
            print(&format!("{} is not the secret of {database}\n", current.name));
            Ok(ExitCode::from(1))
        }
        Err(error) => Err(format!("{database}: {error}")),
    }
}

/// Rotates the secret. The new one is on the disk before the commit, and the current one is in its place
/// until after it, so that a killed rotation loses neither.
async fn rotate(args: &RotateArgs, database: &Database, current: &Current) -> Result<(), String> {
    // Servers that start meanwhile wait, and find the new secret in its place.
    let _starting = database.lock_folder();
    let places = current.file.as_deref().map(Places::beside);
    if let Some(places) = &places {
        places.check_previous(&current.secret)?;
    }
    let new_file = match (&args.new_secret_file, &places) {
        (Some(file), _) => file,
        (None, Some(places)) => &places.new,
        (None, None) => {
            return Err(format!(
                "{} is the secret, so name a file for the new one: --new-secret-file FILE",
                current.name
            ));
        }
    };
    let new = Secret::load_or_create(new_file).map_err(text)?;
    if new.to_hex() == current.secret.to_hex() {
        return Err(format!("{} has the current secret; name another file", new_file.display()));
    }
    if let Some(places) = &places {
        places.stage(&new)?;
    }
    let rotate = async |service: &SecretService| {
        service.rotate(&current.secret, &new, &Actor::new(Principal::CommandLine)).await
    };
    let rotated = on_database(database, rotate).await?.map_err(|error| format!("{database}: {error}"))?;
    if let Some(places) = &places {
        places.replace().map_err(|error| {
            format!(
                "{database} is sealed with the new secret {}, but the file was not put in its place: {error}; repeat \
                the command",
                places.new.display()
            )
        })?;
    }
    let result = match rotated {
        Rotated::Rotated => "is sealed with the new secret",
        Rotated::Already => "was sealed with the new secret already",
    };
    print(&format!("{database} {result}\n"));
    match &places {
        Some(Places { own, previous, .. }) => print(&format!(
            "the new secret is in {}: back it up; the previous one is in {}, and opens backups from before\n",
            own.display(),
            previous.display()
        )),
        None => print(&format!(
            "the new secret is in {}: every server needs it at its next start, instead of {}; keep the previous one for \
            backups from before\n",
            new_file.display(),
            current.name
        )),
    }
    Ok(())
}

/// Places of a secret next to the database.
struct Places {
    own: PathBuf,
    new: PathBuf,
    previous: PathBuf,
}

impl Places {
    fn beside(own: &Path) -> Self {
        Self { own: own.to_owned(), new: beside(own, ".new"), previous: beside(own, ".previous") }
    }

    /// Refuses to overwrite the secret of an earlier rotation, which opens backups.
    fn check_previous(&self, current: &Secret) -> Result<(), String> {
        match Secret::load(&self.previous).map_err(text)? {
            Some(previous) if previous.to_hex() != current.to_hex() => Err(format!(
                "{} is the secret from before the last rotation, and opens backups of that time: move it to a safe place",
                self.previous.display()
            )),
            _ => Ok(()),
        }
    }

    /// Writes the new secret next to the current one. An interrupted rotation may have written it.
    fn stage(&self, new: &Secret) -> Result<(), String> {
        new.create_file(&self.new).map_err(text)?;
        match Secret::load(&self.new).map_err(text)? {
            Some(staged) if staged.to_hex() == new.to_hex() => Ok(()),
            _ => Err(format!(
                "{} has the new secret of a rotation that was interrupted; repeat the command without --new-secret-file",
                self.new.display()
            )),
        }
    }

    /// Keeps the current secret under another name, and puts the new one in its place.
    fn replace(&self) -> std::io::Result<()> {
        if !self.previous.exists() {
            fs::hard_link(&self.own, &self.previous)?;
        }
        fs::rename(&self.new, &self.own)?;
        let folder = self.own.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Returns what to add to the error of a start whose secret does not fit.
pub(crate) fn hint(database: &Database) -> String {
    let staged = database.secret_file().map(|own| Places::beside(&own).new).filter(|new| new.exists());
    match staged {
        Some(new) => format!(
            "; a rotation was interrupted, and the new secret is in {}: finish it with license-server secret rotate",
            new.display()
        ),
        None => "; if the secret was rotated, it is the new one; license-server secret check tests a secret"
            .to_owned(),
    }
}

async fn on_database<T>(
    database: &Database,
    work: impl AsyncFnOnce(&SecretService) -> T,
) -> Result<T, String> {
    let store = database.open_existing("secret").await?;
    let sources = Arc::new(ClockAndRng::new(SystemClock, SystemRng));
    let done = work(&SecretService::new(Arc::clone(&store) as _, sources)).await;
    store.close().await;
    Ok(done)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
