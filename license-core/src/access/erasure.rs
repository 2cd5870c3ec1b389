//! Removes a customer from events and audit entries.

use serde_json::{Value, json};

use crate::license::CustomerEmail;

/// The replacement of a customer's address by a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The customer's address.
    pub email: CustomerEmail,
    /// The pseudonym.
    pub pseudonym: CustomerEmail,
}

impl Erasure {
    /// Returns the address and the pseudonym as quoted JSON strings, for replacement in JSON text.
    #[must_use]
    pub fn replacement(&self) -> (String, String) {
        let quoted = |email: &CustomerEmail| Value::from(email.as_str()).to_string();
        (quoted(&self.email), quoted(&self.pseudonym))
    }

    /// Replaces the address in the data of an event. If the address is found, also removes the metadata,
    /// the name and reasons, and returns `true`. A name without an address counts as found, because it may
    /// be that of the customer.
    pub fn erase_from_event(&self, data: &mut Value) -> bool {
        let found = self.erase_from(data) | has_name_only(data);
        if found {
            remove_notes(data);
        }
        found
    }

    /// Replaces the address in JSON. Returns whether the address was found.
    pub fn erase_from(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) if *text == self.email.as_str() => {
                self.pseudonym.as_str().clone_into(text);
                true
            }
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.erase_from(item) | found),
            Value::Object(map) => map.values_mut().fold(false, |found, item| self.erase_from(item) | found),
            _ => false,
        }
    }
}

/// Returns whether the license of an event has the name of a customer, but no address.
fn has_name_only(data: &Value) -> bool {
    let license = &data["license"];
    license["customer_email"].is_null() && license["customer_name"].is_string()
}

/// Removes what the vendor noted about the customer: metadata, the name and reasons.
fn remove_notes(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match name.as_str() {
                    "metadata" => *value = json!({}),
                    "customer_name" | "reason" | "state_reason" => *value = Value::Null,
                    _ => remove_notes(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_notes),
        _ => {}
    }
}
