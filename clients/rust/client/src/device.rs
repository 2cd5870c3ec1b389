//! The devices of the user.

use license_verify::limits;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;

/// A device or domain that holds a slot of the license.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// The id, for [`Client::release_device`].
    pub id: String,
    /// `device` or `domain`.
    pub kind: String,
    /// The label that the vendor gave it.
    pub label: Option<String>,
    /// The domain, or the first characters of the fingerprint.
    pub name: String,
    /// Whether it is this device.
    pub current: bool,
    /// The day of the first valid answer, such as `2026-01-31`.
    pub first_seen_on: Option<String>,
    /// The day of the latest valid answer.
    pub last_seen_on: Option<String>,
}

impl Client {
    /// Lists the devices and domains that hold slots of the license, oldest first, at most 500.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the code of the server, such as `RELEASE_NOT_ALLOWED`, and [`Error::NoAnswer`] if
    /// there was no answer.
    pub fn devices(&self) -> Result<Vec<Device>, Error> {
        let answer = self.call("/api/v1/activations/list", self.key_body()?, limits::ANSWER_BYTES)?;
        let data = answer.get("data").cloned().ok_or(Error::NoAnswer)?;
        serde_json::from_value(data).map_err(|_| Error::NoAnswer)
    }

    /// Releases a device or domain of the list, so that another one can take its slot.
    ///
    /// # Errors
    /// As [`Client::devices`].
    pub fn release_device(&self, id: &str) -> Result<(), Error> {
        let mut body = self.key_body()?;
        body.retain(|name, _| name == "key");
        body.insert("activation_id".to_owned(), json!(id));
        let answer = self.call("/api/v1/deactivate", body, limits::ANSWER_BYTES)?;
        if answer.get("released").and_then(Value::as_bool) == Some(true) {
            Ok(())
        } else {
            Err(Error::NoAnswer)
        }
    }
}
