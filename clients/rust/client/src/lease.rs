//! Leases: running without a network.

use license_verify::{Lease, ReleaseCode, RequestCode, limits};
use serde_json::{Map, json};

use crate::client::{Client, fresh_nonce};
use crate::error::Error;
use crate::state_file::Stored;
use crate::state_store::Save;

/// Longest answer with a license file: its lease is also in the answer by itself.
const ANSWER_BYTES: usize = limits::LICENSE_FILE_BYTES + limits::TOKEN_BYTES + 64 * 1024;

impl Client {
    /// Takes a license file, which a person brought to this machine.
    ///
    /// # Errors
    /// Returns [`Error::NotAccepted`] with the reason.
    pub fn add_license_file(&self, text: &str) -> Result<Lease, Error> {
        let (inner, now) = (&*self.0, self.0.clock.now());
        self.change(|stored| Ok(stored.state.add_file(text, now, &inner.policy)?))
    }

    /// Begins a request for a license file, for a machine without a network. Only the file that answers the
    /// last request is accepted.
    ///
    /// The code contains the license key: show it to the user, and keep it out of logs and arguments of
    /// programs.
    ///
    /// # Errors
    /// Returns [`Error::NoKey`] without a license key, and [`Error::NotAccepted`] if a part does not fit into
    /// a code.
    pub fn begin_request(&self) -> Result<RequestCode, Error> {
        let key = self.0.license_key.as_ref().ok_or(Error::NoKey)?;
        let nonce = fresh_nonce()?;
        let code = RequestCode::new(&self.0.product, key.as_str(), &self.0.fingerprint, nonce)?;
        self.change(|stored| {
            stored.state.begin_request(code.nonce.clone());
            Ok(())
        })?;
        Ok(code)
    }

    /// Fetches a lease from the server, for this many days or for those of the plan.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the code of the server, [`Error::NoAnswer`] if there was no answer,
    /// and [`Error::NotAccepted`] if the lease cannot be used.
    pub fn fetch_lease(&self, days: Option<u32>) -> Result<Lease, Error> {
        let mut body = self.key_body()?;
        body.insert("product".to_owned(), json!(self.0.product));
        if let Some(days) = days {
            body.insert("days".to_owned(), json!(days));
        }
        let answer = self.call("/api/v1/leases", body, ANSWER_BYTES)?;
        let file = answer.get("file").and_then(|file| file.as_str()).ok_or(Error::NoAnswer)?;
        self.add_license_file(file)
    }

    /// Hands back the lease, and returns the code that proves it. The software may not run by it from here
    /// on. Send the code with [`Client::send_release`], or let the user carry it to a machine with a network.
    ///
    /// # Errors
    /// Returns [`Error::NotAccepted`] if there is no lease.
    pub fn return_lease(&self) -> Result<ReleaseCode, Error> {
        let (inner, now) = (&*self.0, self.0.clock.now());
        self.change(|stored| Ok(stored.state.return_lease(now, &inner.policy)?))
    }

    /// Tells the server that a lease was handed back.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the code of the server, and [`Error::NoAnswer`] if there was no
    /// answer: send the code again.
    pub fn send_release(&self, code: &ReleaseCode) -> Result<(), Error> {
        let mut body = Map::new();
        body.insert("release".to_owned(), json!(code.to_text()));
        self.call("/api/v1/leases/release", body, limits::ANSWER_BYTES).map(drop)
    }

    /// Fetches the list of revoked leases. Software that checks online needs no list: each check has the same
    /// effect.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the code of the server, [`Error::NoAnswer`] if there was no answer,
    /// and [`Error::NotAccepted`] if the list is not signed by a trusted key, or older than the one that is
    /// known.
    pub fn fetch_revocations(&self) -> Result<(), Error> {
        // The name of a product needs no percent-encoding.
        let path = format!("/api/v1/revocations?product={}", self.0.product);
        let reply = self.0.http.get(&path, limits::REVOCATIONS_BYTES + 1024).ok_or(Error::NoAnswer)?;
        let answer = reply.into_result()?;
        let list = answer.get("revocations").and_then(|list| list.as_str()).ok_or(Error::NoAnswer)?;
        self.change(|stored| Ok(stored.state.add_revocations(list, &self.0.policy)?))
    }

    /// Changes the state. The next check reports a problem with the file.
    fn change<T>(&self, change: impl FnOnce(&mut Stored) -> Result<T, Error>) -> Result<T, Error> {
        self.0.store.update(self.0.clock.now(), |stored| (change(stored), Save::Now)).0
    }
}
