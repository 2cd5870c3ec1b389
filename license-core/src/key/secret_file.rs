//! The secret of a deployment in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::secret::{Secret, SecretError};
use crate::clock::SystemRng;
use crate::folder::sync_name;

/// Error of reading or creating the file of a [`Secret`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// The file does not contain a secret.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The reason, which does not repeat the content.
        #[source]
        source: SecretError,
    },
    /// The file cannot be read or created.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The operating system has no random numbers.
    #[error("a secret cannot be generated: {0}")]
    Random(String),
}

impl Secret {
    /// Reads the secret from a file. Returns `None` if the file does not exist. Requires the feature
    /// `system`.
    ///
    /// # Errors
    /// Returns [`SecretFileError`] if the file cannot be read, or does not contain 64 hex digits.
    pub fn load(path: impl AsRef<Path>) -> Result<Option<Self>, SecretFileError> {
        let path = path.as_ref();
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => Self::from_hex(&text)
                .map(Some)
                .map_err(|source| SecretFileError::Invalid { path: path.to_owned(), source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error(path, error)),
        }
    }

    /// Reads the secret from a file, or generates one and creates the file, readable by its owner only.
    /// Requires the feature `system`.
    ///
    /// The file is complete and on the disk before it gets its name. If several processes call this at once,
    /// all return the same secret. Back up the file with the database.
    ///
    /// ```
    /// # use license_core::key::Secret;
    /// # let folder = std::env::temp_dir().join(format!("license-secret-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("licenses.secret");
    /// let secret = Secret::load_or_create(&path)?;
    /// assert_eq!(Secret::load_or_create(&path)?.to_hex(), secret.to_hex());
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`SecretFileError`] if the file cannot be read or created, or does not contain 64 hex digits.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, SecretFileError> {
        let path = path.as_ref();
        if let Some(secret) = Self::load(path)? {
            return Ok(secret);
        }
        let secret =
            Self::generate(&mut SystemRng).map_err(|error| SecretFileError::Random(error.to_string()))?;
        if secret.create_file(path)? {
            return Ok(secret);
        }
        // Another process created the file first.
        Self::load(path)?.ok_or_else(|| file_error(path, ErrorKind::NotFound.into()))
    }

    /// Writes the secret to a new file, readable by its owner only. Returns `false` if the file exists.
    /// Requires the feature `system`.
    ///
    /// # Errors
    /// Returns [`SecretFileError::Io`] if the file cannot be created. Nothing is left behind then.
    pub fn create_file(&self, path: impl AsRef<Path>) -> Result<bool, SecretFileError> {
        let path = path.as_ref();
        match self.write_new(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(file_error(path, error)),
        }
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        // Random, because threads of one process may race too.
        let mut suffix = [0; 8];
        rand::TryRng::try_fill_bytes(&mut SystemRng, &mut suffix).map_err(io::Error::other)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{:016x}", u64::from_ne_bytes(suffix)));
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        let written = file.write_all(self.to_hex().as_bytes()).and_then(|()| file.sync_all());
        // Unlike a rename, a link fails if the name is taken, so the first file stays.
        let linked = written.and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        linked.and(removed)?;
        sync_name(path)
    }
}

fn file_error(path: &Path, source: io::Error) -> SecretFileError {
    SecretFileError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    /// A folder that is removed at the end of a test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("license-core-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn racing_callers_get_one_secret() {
        for round in 0..20 {
            let folder = Folder::new(&format!("race-{round}"));
            let (path, barrier) = (folder.0.join("secret"), Barrier::new(8));
            let create = || {
                barrier.wait();
                Secret::load_or_create(&path).unwrap().to_hex().to_string()
            };
            let secrets: BTreeSet<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(secrets.len(), 1);
            assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no unfinished file is left");
        }
    }

    #[cfg(unix)]
    #[test]
    fn secret_file_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        let path = folder.0.join("secret");
        Secret::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn existing_file_is_never_changed() {
        let folder = Folder::new("existing");
        let path = folder.0.join("secret");
        for text in ["", "short", &"zz".repeat(32)] {
            fs::write(&path, text).unwrap();
            let error = Secret::load_or_create(&path).unwrap_err();
            assert!(matches!(&error, SecretFileError::Invalid { .. }), "{error:?}");
            assert!(error.to_string().contains("64 hex digits"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, format!("{}\n", "5a".repeat(32))).unwrap();
        assert_eq!(Secret::load_or_create(&path).unwrap().to_hex().as_str(), "5a".repeat(32));
        assert!(!Secret::from_hex(&"5b".repeat(32)).unwrap().create_file(&path).unwrap());
        assert_eq!(Secret::load(&path).unwrap().unwrap().to_hex().as_str(), "5a".repeat(32));
    }

    #[test]
    fn error_names_the_file() {
        let folder = Folder::new("errors");
        let missing = folder.0.join("missing").join("secret");
        assert!(Secret::load(&missing).unwrap().is_none());
        for (path, part) in [(missing.as_path(), "missing"), (folder.0.as_path(), "errors")] {
            let error = Secret::load_or_create(path).unwrap_err();
            assert!(matches!(&error, SecretFileError::Io { .. }), "{error:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
