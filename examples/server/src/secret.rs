//! The secret that seals the data keys of the database: from the environment, or from a file beside the database.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use license_core::clock::SystemRng;
use license_core::key::Secret;

use crate::database::Database;
use crate::flags::secret_of_environment;

/// A secret, and what is to say of it.
pub(crate) struct Found {
    pub(crate) secret: Secret,
    pub(crate) note: String,
    /// The file that was made for it.
    made: Option<PathBuf>,
}

impl Found {
    fn kept(secret: Secret, note: String) -> Self {
        Self { secret, note, made: None }
    }

    /// Takes back what was made: the start failed before anything was sealed with it.
    pub(crate) fn forget(&self) {
        if let Some(path) = &self.made {
            // Where it can't be removed it is found again by the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Finds the secret, or makes it on the first start.
pub(crate) fn find(database: &Database) -> Result<Found, String> {
    if let Some(secret) = secret_of_environment()? {
        return Ok(Found::kept(secret, "from LICENSE_SECRET".to_owned()));
    }
    let Some(path) = database.secret_file() else {
        return match database {
            Database::Postgres(..) => {
                Err("LICENSE_SECRET must be set with PostgreSQL, the same on every node: 64 hex \
                digits, as `openssl rand -hex 32` prints them"
                    .to_owned())
            }
            Database::Memory | Database::Sqlite(_) => {
                Ok(Found::kept(new_secret()?, "made for this run".to_owned()))
            }
        };
    };
    let shown = path.display();
    if let Some(secret) = read(&path)? {
        return Ok(Found::kept(secret, shown.to_string()));
    }
    if database.is_new() {
        let secret = new_secret()?;
        match keep(&path, &secret) {
            Ok(()) => {
                let note = "made now: back it up with the database; without it no license key works again";
                return Ok(Found { secret, note: format!("{shown} ({note})"), made: Some(path.clone()) });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{shown} can't be made: {error}")),
        }
    }
    // Another server that starts at the same time may have made it.
    match read(&path)? {
        Some(secret) => Ok(Found::kept(secret, shown.to_string())),
        None => Err(format!(
            "{shown} is missing, and the database's keys can't be read without it: put it back, or set LICENSE_SECRET"
        )),
    }
}

/// Reads the secret of a file, if the file exists.
fn read(path: &Path) -> Result<Option<Secret>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Secret::from_hex(&text).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn new_secret() -> Result<Secret, String> {
    Secret::generate(&mut SystemRng).map_err(|error| format!("no randomness for a secret: {error}"))
}

/// Writes the file for its owner's eyes only, and whole: a name that is there has a whole secret behind it, also when
/// two servers start at once or one is killed.
fn keep(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let written = file.write_all(secret.to_hex().as_bytes()).and_then(|()| file.sync_all());
    // A link, unlike a rename, fails if the name is taken: the file of the first of two servers stays.
    let linked = written.and_then(|()| std::fs::hard_link(&unfinished, path));
    std::fs::remove_file(&unfinished)?;
    linked
}
