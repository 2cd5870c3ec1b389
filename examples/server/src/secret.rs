//! The secret that seals the data keys: from the environment, or from a file next to the database.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use license_core::clock::SystemRng;
use license_core::key::Secret;

use crate::database::Database;
use crate::flags::secret_of_environment;

/// A secret and where it comes from.
pub(crate) struct LoadedSecret {
    pub(crate) secret: Secret,
    /// Source, for the startup message.
    pub(crate) note: String,
    /// Path of the file, if this start created it.
    created: Option<PathBuf>,
}

impl LoadedSecret {
    fn existing(secret: Secret, note: String) -> Self {
        Self { secret, note, created: None }
    }

    /// Removes the file if this start created it. Call it only if nothing was sealed with the secret.
    pub(crate) fn discard(&self) {
        if let Some(path) = &self.created {
            // If the file cannot be removed, the next start uses it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Loads the secret. The first start on an SQLite file creates it.
pub(crate) fn load(database: &Database) -> Result<LoadedSecret, String> {
    if let Some(secret) = secret_of_environment()? {
        return Ok(LoadedSecret::existing(secret, "from LICENSE_SECRET".to_owned()));
    }
    let Some(path) = database.secret_file() else {
        return match database {
            Database::Postgres(..) => {
                Err("LICENSE_SECRET must be set for PostgreSQL, to the same 64 hex digits on every node; \
                `openssl rand -hex 32` generates them"
                    .to_owned())
            }
            Database::Memory | Database::Sqlite(_) => {
                Ok(LoadedSecret::existing(new_secret()?, "generated for this run".to_owned()))
            }
        };
    };
    let shown = path.display();
    if let Some(secret) = read(&path)? {
        return Ok(LoadedSecret::existing(secret, shown.to_string()));
    }
    if database.is_new() {
        let secret = new_secret()?;
        match write(&path, &secret) {
            Ok(()) => {
                let note = "new: back it up with the database; without it, no license key works";
                let note = format!("{shown} ({note})");
                return Ok(LoadedSecret { secret, note, created: Some(path) });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{shown} cannot be created: {error}")),
        }
    }
    // Another server that starts at the same time may have created the file.
    match read(&path)? {
        Some(secret) => Ok(LoadedSecret::existing(secret, shown.to_string())),
        None => Err(format!(
            "{shown} is missing, and the license keys cannot be read without it; restore the file or set LICENSE_SECRET"
        )),
    }
}

/// Reads the secret from a file, if the file exists.
fn read(path: &Path) -> Result<Option<Secret>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Secret::from_hex(&text).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn new_secret() -> Result<Secret, String> {
    Secret::generate(&mut SystemRng).map_err(|error| format!("cannot generate a secret: {error}"))
}

/// Writes the file atomically, readable by its owner only. Fails if the file exists.
fn write(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let written = file.write_all(secret.to_hex().as_bytes()).and_then(|()| file.sync_all());
    // Unlike a rename, a link fails if the name is taken: if two servers start at once, the first file stays.
    let linked = written.and_then(|()| std::fs::hard_link(&unfinished, path));
    std::fs::remove_file(&unfinished)?;
    linked
}
