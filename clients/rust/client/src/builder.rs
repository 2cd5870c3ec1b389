//! The settings of a client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use license_verify::{Digest, KeySet, Policy, PublicKey};

use crate::client::{Client, Inner};
use crate::clock::Clock;
use crate::error::Error;
use crate::http::Http;
use crate::license_key::LicenseKey;
use crate::state_file::StateFile;
use crate::state_store::StateStore;

/// Longest time that a question to the server takes by default.
const DEADLINE: Duration = Duration::from_secs(3);

/// The settings of a [`Client`].
#[must_use]
pub struct ClientBuilder {
    server: String,
    product: String,
    keys: Vec<PublicKey>,
    license_key: Option<LicenseKey>,
    device_id: Option<String>,
    domain: Option<String>,
    released_at: Option<i64>,
    grace: Option<u32>,
    state_file: Option<PathBuf>,
    deadline: Duration,
    roots: Option<String>,
    clock: Clock,
}

impl Client {
    /// Begins the settings of a client of the server at this address.
    pub fn builder(server: &str) -> ClientBuilder {
        ClientBuilder {
            server: server.to_owned(),
            product: String::new(),
            keys: Vec::new(),
            license_key: None,
            device_id: None,
            domain: None,
            released_at: None,
            grace: None,
            state_file: None,
            deadline: DEADLINE,
            roots: None,
            clock: Clock::system(),
        }
    }
}

impl ClientBuilder {
    /// Sets the product, by the slug that the server knows.
    pub fn product(mut self, slug: &str) -> Self {
        slug.trim().clone_into(&mut self.product);
        self
    }

    /// Sets the public keys that the software is built with. With keys, only an answer with a proof counts.
    /// Without keys, every answer over TLS counts, and leases are refused.
    pub fn public_keys(mut self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    /// Sets the license key of the user. Without it, the client only knows license files.
    pub fn license_key(mut self, key: &str) -> Self {
        self.license_key = LicenseKey::new(key);
        self
    }

    /// Sets the text that identifies this device, instead of a digest of the machine id of the system.
    /// Request codes need one of at most 64 bytes.
    pub fn device_id(mut self, id: &str) -> Self {
        self.device_id = Some(id.trim().to_owned());
        self
    }

    /// Sets the domain that the software runs on.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Sets the time at which this version of the software was released, in Unix seconds.
    pub fn released_at(mut self, time: i64) -> Self {
        self.released_at = Some(time);
        self
    }

    /// Sets how many seconds the software runs on after a check that was due and got no answer: 7 days by
    /// default.
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = Some(seconds);
        self
    }

    /// Sets the file that keeps the state between runs. Its folder is created. Without a file, the client
    /// forgets all answers when it is dropped.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_file = Some(path.into());
        self
    }

    /// Sets how long a question to the server takes at most: 3 seconds by default. A later answer is no
    /// answer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Trusts only the certificates in this PEM text, instead of those of the system. Use it if the server
    /// has a certificate authority of its own.
    pub fn root_certificates(mut self, pem: &str) -> Self {
        self.roots = Some(pem.to_owned());
        self
    }

    /// Sets the clock, which returns Unix seconds. Tests of software use it.
    pub fn clock(mut self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Builds the client. It neither asks the server nor reads the state.
    ///
    /// # Errors
    /// Returns an error if the address is no `https://` URL, the product is missing, the certificates are no
    /// PEM, or the machine has no id.
    pub fn build(self) -> Result<Client, Error> {
        if self.product.is_empty() {
            return Err(Error::NoProduct);
        }
        let http = Http::new(&self.server, self.roots.as_deref(), self.deadline, self.clock.clone())?;
        let fingerprint = match self.device_id {
            Some(id) if id.is_empty() => return Err(Error::NoDeviceId),
            Some(id) => id,
            None => machine_fingerprint(&self.product)?,
        };
        let wants_proof = !self.keys.is_empty();
        let mut policy = Policy::new(&self.product, &fingerprint).keys(KeySet::new(self.keys));
        if let Some(domain) = &self.domain {
            policy = policy.domain(domain);
        }
        if let Some(time) = self.released_at {
            policy = policy.released_at(time);
        }
        if let Some(seconds) = self.grace {
            policy = policy.grace(seconds);
        }
        let file = self.state_file.map(|path| StateFile::new(path, &self.product, &fingerprint));
        let digest = self.license_key.as_ref().map(LicenseKey::digest);
        Ok(Client(Arc::new(Inner {
            http,
            policy,
            wants_proof,
            product: self.product,
            fingerprint,
            domain: self.domain,
            released_at: self.released_at,
            license_key: self.license_key,
            store: StateStore::new(file, digest),
            clock: self.clock,
        })))
    }
}

/// Shows neither the license key nor the device.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBuilder")
            .field("server", &self.server)
            .field("product", &self.product)
            .finish_non_exhaustive()
    }
}

/// Returns the machine id of the system as a digest with the product, so that two vendors cannot compare
/// their devices.
fn machine_fingerprint(product: &str) -> Result<String, Error> {
    let id = machine_uid::get().map_err(|_| Error::NoDeviceId)?;
    if id.trim().is_empty() {
        return Err(Error::NoDeviceId);
    }
    Ok(Digest::of_device(product, &id).to_text())
}
