//! The file that keeps the state between runs of the software.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use license_verify::{Digest, State, limits};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::state_error::StateError;

const FORMAT: &str = "license-state";
const VERSION: &str = "1";
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What is kept between runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    /// Digest of the license key that the verdict is for.
    pub(crate) key: Option<String>,
    pub(crate) saved_at: i64,
    pub(crate) pause: Option<Pause>,
    pub(crate) state: State,
}

/// A time in which the server is not asked again, because it did not answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Whether the server asked for it, by `Retry-After`.
    pub(crate) is_requested: bool,
}

/// A file with a MAC that is bound to the device and the product: `license-state 1 DEVICE MAC`, and JSON below.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    device: String,
    mac_key: String,
}

impl StateFile {
    pub(crate) fn new(path: PathBuf, product: &str, fingerprint: &str) -> Self {
        let device = Digest::of_device(product, fingerprint).to_text();
        let mac_key = Digest::of_device(&format!("license-state-v1/{product}"), fingerprint).to_text();
        Self { path, device, mac_key }
    }

    /// Reads the file. Returns `None` if there is none.
    pub(crate) fn load(&self) -> Result<Option<Stored>, StateError> {
        let mut text = String::new();
        // Room for the header line.
        let limit = limits::STATE_BYTES as u64 + 1024;
        match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::Unreadable(error)),
            Ok(file) => match file.take(limit).read_to_string(&mut text) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(StateError::Damaged),
                Err(error) => return Err(StateError::Unreadable(error)),
                Ok(_) => {}
            },
        }
        let (header, json) = text.split_once('\n').ok_or(StateError::Damaged)?;
        let header: Vec<&str> = header.split(' ').collect();
        let [format, version, device, mac] = header[..] else { return Err(StateError::Damaged) };
        if format != FORMAT {
            return Err(StateError::Damaged);
        }
        if version != VERSION {
            return Err(StateError::OtherVersion);
        }
        if device != self.device {
            return Err(StateError::OtherDevice);
        }
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| StateError::Damaged)?;
        self.mac(json).verify_slice(&mac).map_err(|_| StateError::Damaged)?;
        // The MAC is right, so a state that cannot be read was written by other code.
        serde_json::from_str(json).map(Some).map_err(|_| StateError::OtherVersion)
    }

    /// Replaces the file by a temporary file in the same folder, so that no reader ever sees a part of it.
    pub(crate) fn save(&self, stored: &Stored) -> Result<(), StateError> {
        let json = serde_json::to_string(stored).map_err(|error| StateError::Unwritable(error.into()))?;
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&json).finalize().into_bytes());
        let text = format!("{FORMAT} {VERSION} {} {mac}\n{json}", self.device);
        let temporary = self.beside(&format!(".{}.tmp", std::process::id()));
        let result = write_new(&temporary, text.as_bytes()).and_then(|()| fs::rename(&temporary, &self.path));
        if result.is_err() {
            // The file may not exist; the reason for the failure is already known.
            let _ = fs::remove_file(&temporary);
        }
        result.map_err(StateError::Unwritable)
    }

    /// Waits until no other process changes the file. Returns `None` if the folder is not writable, or if another
    /// process holds the lock for half a second: a suspended process must not keep the software from starting.
    pub(crate) fn lock(&self) -> Option<File> {
        if let Some(folder) = self.path.parent() {
            // If the folder cannot be made, saving says so.
            let _ = fs::create_dir_all(folder);
        }
        let file = owner_only().create(true).truncate(false).open(self.beside(".lock")).ok()?;
        for _ in 0..LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn mac(&self, json: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(self.mac_key.as_bytes()).expect("a key of any length");
        mac.chain_update(json)
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A crash can have left one of an earlier process with the same id.
    let _ = fs::remove_file(path);
    let mut file = owner_only().create_new(true).open(path)?;
    file.write_all(bytes)?;
    // Without this, a power cut after the rename can leave an empty file, and a machine without a network its lease.
    file.sync_all()
}

/// Options to write a file that only its owner can read.
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
