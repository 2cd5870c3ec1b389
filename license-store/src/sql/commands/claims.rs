//! Claims on different licenses, executed together: one statement for each table instead of one for each claim. Most commands of a busy
//! server are first validations, and a round trip to the database takes longer than the work that it asks for.

use std::collections::{HashMap, HashSet};

use license_core::activation::Activation;
use license_core::command::{Changes, Command, Decision, Reads, View, decide};
use license_core::license::{License, LicenseId};
use license_core::seen::ActivationUsage;
use license_core::store::StoreError;
use serde_json::json;

use super::{Executed, Request};
use crate::sql::database::{SqlDatabase, Tx, reader};
use crate::sql::dialect::{Dialect, values};
use crate::sql::rows::{activation_row, event_row, int, json_rows, micros};

/// Which requests are claims that can be executed together: the first of their license in the batch.
pub(super) fn together(requests: &[&Request]) -> Vec<usize> {
    let mut licenses = HashSet::new();
    let first = |(index, request): (usize, &&Request)| {
        let is_first = licenses.insert(request.id.clone());
        (is_first && matches!(request.command, Command::Activate(_))).then_some(index)
    };
    requests.iter().enumerate().filter_map(first).collect()
}

/// What a claim writes.
struct Claimed {
    before: License,
    changes: Changes,
}

impl Claimed {
    /// Whether nothing changes but what a claim usually changes. Other changes are written one by one.
    fn is_plain(&self) -> bool {
        let Self { before, changes } = self;
        let Changes { license, added: _, released, labelled, events: _, audit, erased } = changes;
        let plain = License {
            domains_used: license.domains_used,
            devices_used: license.devices_used,
            activated_at: license.activated_at,
            version: license.version,
            last_event: license.last_event,
            ..before.clone()
        };
        plain == **license && released.is_empty() && labelled.is_none() && audit.is_none() && erased.is_none()
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// Executes claims on different licenses. `None` for a claim that has to be executed by itself; nothing is written of it.
    pub(super) async fn execute_claims(
        &self,
        tx: &mut Tx<D>,
        requests: &[&Request],
    ) -> Result<Vec<Option<Result<Executed, StoreError>>>, StoreError> {
        let mut licenses = self.read_licenses(tx, requests).await?;
        let mut activations = self.read_claimed(tx, requests).await?;
        let (mut results, mut written) = (Vec::new(), Vec::new());
        for Request { id, command, context, caught_up: _ } in requests {
            let Some(before) = licenses.remove(id) else {
                results.push(Some(Err(StoreError::NotFound { id: id.clone() })));
                continue;
            };
            if command.unseen(&before, context).is_some() {
                results.push(None);
                continue;
            }
            let activations = activations.remove(id).unwrap_or_default();
            let view = View { license: before.clone(), activations, unseen: Vec::new() };
            let Decision { outcome, changes } = decide(view, command, context);
            let Some(changes) = changes else {
                results.push(Some(Ok(Executed::Done(outcome, Vec::new()))));
                continue;
            };
            let notices = changes.notices(&before.key_digest);
            let claimed = Claimed { before, changes };
            if claimed.is_plain() {
                written.push(claimed);
                results.push(Some(Ok(Executed::Done(outcome, notices))));
            } else {
                results.push(None);
            }
        }
        if !written.is_empty() {
            self.write_claims(tx, &written).await?;
        }
        Ok(results)
    }

    async fn read_licenses(
        &self,
        tx: &mut Tx<D>,
        requests: &[&Request],
    ) -> Result<HashMap<LicenseId, License>, StoreError> {
        let ids = json!(requests.iter().map(|request| request.id.as_str()).collect::<Vec<_>>()).to_string();
        let rows = self.fetch(tx, &self.statements.lock_licenses, values![ids.as_str()]).await?;
        let read = |row| {
            let license = reader::<D>(row, "licenses", "").license()?;
            Ok((license.id.clone(), license))
        };
        rows.iter().map(read).collect()
    }

    async fn read_claimed(
        &self,
        tx: &mut Tx<D>,
        requests: &[&Request],
    ) -> Result<HashMap<LicenseId, Vec<Activation>>, StoreError> {
        let mut bindings = Vec::new();
        for request in requests {
            let Reads::Claim { domains, fingerprint } = request.command.reads() else { continue };
            bindings.extend(domains.iter().map(|name| json!([request.id.as_str(), "domain", name])));
            bindings.extend(fingerprint.iter().map(|device| json!([request.id.as_str(), "device", device])));
        }
        let bindings = json_rows(bindings.into_iter());
        let rows = self.fetch(tx, &self.compaction.seen_activations, values![bindings.as_str()]).await?;
        let mut found: HashMap<LicenseId, Vec<Activation>> = HashMap::new();
        for row in &rows {
            let license = reader::<D>(row, "activations", "").license_id("license_id")?;
            let activation = reader::<D>(row, "activations", license.as_str()).activation()?;
            found.entry(license).or_default().push(activation);
        }
        Ok(found)
    }

    async fn write_claims(&self, tx: &mut Tx<D>, written: &[Claimed]) -> Result<(), StoreError> {
        let licenses = || written.iter().map(|claimed| &claimed.changes.license);
        let updates = json_rows(licenses().map(|license| {
            let (domains, devices) = (int(license.domains_used), int(license.devices_used));
            let (version, event) = (int(license.version), int(license.last_event));
            json!([license.id.as_str(), domains, devices, micros(license.activated_at), version, event])
        }));
        self.fetch(tx, &self.statements.update_claimed, values![updates.as_str()]).await?;
        let unseen = ActivationUsage::default();
        let added = written.iter().flat_map(|Claimed { changes, .. }| {
            changes.added.iter().map(|one| activation_row(&changes.license, one, &unseen, one.created_at))
        });
        let added = json_rows(added);
        self.fetch(tx, &self.statements.insert_activations, values![added.as_str()]).await?;
        let ids = json!(licenses().map(|license| license.id.as_str()).collect::<Vec<_>>()).to_string();
        let rows = self.fetch(tx, &self.statements.licenses_of_events, values![ids.as_str()]).await?;
        let mut details = HashMap::new();
        for row in &rows {
            let detail = reader::<D>(row, "licenses", "").detail()?;
            details.insert(detail.license.id.clone(), detail);
        }
        let mut events = Vec::new();
        for Claimed { changes, .. } in written {
            let id = &changes.license.id;
            let detail = details.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
            events.extend(changes.events.complete(detail).iter().map(event_row));
        }
        let events = json_rows(events.into_iter());
        self.fetch(tx, &self.statements.insert_events, values![events.as_str()]).await.map(drop)
    }
}
