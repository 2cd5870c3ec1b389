//! The secret that seals the data keys: from the environment, or from a file next to the database.

use std::path::PathBuf;

use license_core::clock::SystemRng;
use license_core::key::Secret;

use crate::database::Database;
use crate::flags::DatabaseFlags;

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

    /// Removes the file if this start created it, unless the database was begun: it needs its secret. Call it
    /// only if nothing was sealed with the secret.
    pub(crate) fn discard(&self, database: &Database) {
        if let Some(path) = &self.created
            && database.is_new()
        {
            // If the file cannot be removed, the next start uses it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Loads the secret. The first start on an SQLite file creates it. If there is a secret but no database, the
/// database is lost, unless `create` says otherwise.
pub(crate) fn load(database: &Database, flags: &DatabaseFlags, create: bool) -> Result<LoadedSecret, String> {
    let path = database.secret_file();
    if let Some(path) = &path
        && database.is_new()
        && path.exists()
        && !create
    {
        return Err(format!(
            "{database} is missing or empty, but its secret {} exists: restore the database, for example with \
            license-server restore FILE, or start with --create for a new database",
            path.display()
        ));
    }
    if let Some(secret) = flags.secret()? {
        return Ok(LoadedSecret::existing(secret, format!("from {}", flags.secret.name())));
    }
    let Some(path) = path else {
        return match database {
            Database::Postgres(..) => {
                Err("LICENSE_SECRET must be set for PostgreSQL, to the same 64 hex digits on every node; \
                `openssl rand -hex 32` generates them"
                    .to_owned())
            }
            Database::Memory | Database::Sqlite(_) => {
                let secret = Secret::generate(&mut SystemRng);
                let secret = secret.map_err(|error| format!("cannot generate a secret: {error}"))?;
                Ok(LoadedSecret::existing(secret, "generated for this run".to_owned()))
            }
        };
    };
    let shown = path.display().to_string();
    if let Some(secret) = Secret::load(&path).map_err(|error| error.to_string())? {
        return Ok(LoadedSecret::existing(secret, shown));
    }
    if !database.is_new() {
        return Err(format!(
            "{shown} is missing, and the license keys cannot be read without it; restore the file or set LICENSE_SECRET"
        ));
    }
    let secret = Secret::load_or_create(&path).map_err(|error| error.to_string())?;
    let note = "new: back it up with the database; without it, no license key works";
    Ok(LoadedSecret { secret, note: format!("{shown} ({note})"), created: Some(path) })
}
