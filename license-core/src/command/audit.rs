//! Audit entries of changes of licenses.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::block::block_json;
use super::{Changes, Command, activation_json};
use crate::access::{Actor, AuditEntry};
use crate::license::{Activation, CustomerEmail, CustomerName, ExternalId, Label, License, LicenseTerm};

/// Creates the entry of a new license, with all its fields.
pub(super) fn created(license: &License, activations: &[Activation], actor: &Actor) -> AuditEntry {
    let mut changes: Map<_, _> = fields(license)
        .into_iter()
        .map(|(name, after)| (name.to_owned(), json!({ "before": null, "after": after })))
        .collect();
    note_activations(&mut changes, activations, &[]);
    AuditEntry {
        license_id: Some(license.id.clone()),
        changes,
        metadata: personal(None, license),
        ..AuditEntry::new("license.create", actor, license.created_at)
    }
}

/// Creates the entry of a command that changed something.
pub(crate) fn decided(
    before: &License,
    read: &[&Activation],
    command: &Command,
    changes: &Changes,
    actor: &Arc<Actor>,
    at: chrono::DateTime<chrono::Utc>,
) -> AuditEntry {
    let Changes { license, added, released, labelled, erased, .. } = changes;
    let released: Vec<_> = read.iter().copied().filter(|held| released.contains(&held.id)).collect();
    let mut fields: Map<_, _> = changed_fields(before, license)
        .map(|(name, before, after)| (name.to_owned(), json!({ "before": before, "after": after })))
        .collect();
    note_activations(&mut fields, added, &released);
    note_blocks(&mut fields, before, license);
    let labelled = labelled.as_ref().and_then(|(id, label)| {
        let held = read.iter().copied().find(|held| held.id == *id)?;
        fields.insert(
            "activations".to_owned(),
            json!({ "before": [activation_json(held)], "after": [activation_json(held)] }),
        );
        Some(json!({ "before": named(held.label.as_ref()), "after": named(label.as_ref()) }))
    });
    // The erased customer must not appear in the entry.
    let metadata = if erased.is_some() {
        fields.remove("customer_email");
        None
    } else {
        // A label may name a person, so erasure must remove it like metadata.
        labelled.or_else(|| personal(Some(before), license))
    };
    AuditEntry {
        license_id: Some(license.id.clone()),
        changes: fields,
        metadata,
        ..AuditEntry::new(action(command), actor, at)
    }
}

pub(super) fn action(command: &Command) -> &'static str {
    match command {
        Command::Activate(_) => "activation.create",
        Command::Release(_) | Command::ReleaseIdle | Command::ReleaseReturned => "activation.release",
        Command::Deactivate(_) => "activation.deactivate",
        Command::Label(..) => "activation.label",
        Command::Suspend => "license.suspend",
        Command::Reinstate => "license.reinstate",
        Command::Renew => "license.renew",
        Command::Change(_) => "license.change",
        Command::RotateKey { .. } => "license.rotate_key",
        Command::Revoke => "license.revoke",
        Command::EraseCustomer(_) => "license.erase_customer",
        Command::AddGrant(_) => "license.add_grant",
        Command::RemoveGrant(_) => "license.remove_grant",
        Command::Block(_) => "activation.block",
        Command::Unblock(_) => "activation.unblock",
        Command::ApplyPlan { .. } => "license.apply_plan",
        Command::Lease(_) => "lease.create",
        Command::ReturnLease(_) => "lease.return",
    }
}

fn named(label: Option<&Label>) -> Value {
    json!({ "label": label.map(Label::as_str) })
}

/// Returns the audited fields. Destructured, so that new fields are considered.
fn fields(license: &License) -> [(&'static str, Value); 13] {
    let License {
        id: _,
        key_digest: _,
        sealed_key: _,
        state,
        product,
        plan,
        customer_email,
        max_domains,
        max_devices,
        domains_used: _,
        devices_used: _,
        created_at: _,
        activated_at: _,
        expires_at,
        metadata: _,
        version: _,
        last_event: _,
        expiry_notice: _,
        customer_name: _,
        external_id,
        anchor_day: _,
        term: LicenseTerm { starts, started_at },
        updates_until,
        grants,
        // May name a person, so the entry has it in a field that erasure removes.
        state_reason: _,
        blocks: _,
        plan_version,
        overrides,
        leased_until: _,
    } = license;
    [
        ("state", json!(state.as_str())),
        ("product", json!(product)),
        ("plan", json!(plan)),
        ("customer_email", json!(customer_email.as_ref().map(CustomerEmail::as_str))),
        ("max_domains", json!(max_domains)),
        ("max_devices", json!(max_devices)),
        ("expires_at", json!(expires_at)),
        ("external_id", json!(external_id.as_ref().map(ExternalId::as_str))),
        ("term", json!({ "starts": starts, "started_at": started_at })),
        ("updates_until", json!(updates_until)),
        ("grants", json!(grants)),
        ("plan_version", json!(plan_version)),
        ("overrides", json!(overrides)),
    ]
}

/// Returns the audited fields that differ: their names and values.
pub(super) fn changed_fields(
    before: &License,
    after: &License,
) -> impl Iterator<Item = (&'static str, Value, Value)> {
    let pairs = fields(before).into_iter().zip(fields(after));
    pairs.filter(|(before, after)| before != after).map(|((name, before), (_, after))| (name, before, after))
}

/// Returns the changes of metadata and of the customer's name, which an erasure removes.
fn personal(before: Option<&License>, after: &License) -> Option<Value> {
    let metadata = |license: &License| json!(license.metadata);
    let name = |license: &License| json!(license.customer_name.as_ref().map(CustomerName::as_str));
    let metadata = (before.map_or(json!({}), metadata), metadata(after));
    let name = (before.map_or(Value::Null, name), name(after));
    let mut changes = Map::new();
    if metadata.0 != metadata.1 {
        changes.insert("before".to_owned(), metadata.0);
        changes.insert("after".to_owned(), metadata.1);
    }
    if name.0 != name.1 {
        changes.insert("customer_name".to_owned(), json!({ "before": name.0, "after": name.1 }));
    }
    (!changes.is_empty()).then(|| changes.into())
}

fn note_activations(changes: &mut Map<String, Value>, added: &[Activation], released: &[&Activation]) {
    if !added.is_empty() || !released.is_empty() {
        let before: Vec<_> = released.iter().map(|activation| activation_json(activation)).collect();
        let after: Vec<_> = added.iter().map(activation_json).collect();
        changes.insert("activations".to_owned(), json!({ "before": before, "after": after }));
    }
}

/// Notes blocks that were added or removed.
fn note_blocks(changes: &mut Map<String, Value>, before: &License, after: &License) {
    let missing_in = |all: &License, other: &License| -> Vec<_> {
        all.blocks.iter().filter(|block| other.blocks.of(&block.binding).is_none()).map(block_json).collect()
    };
    let (removed, added) = (missing_in(before, after), missing_in(after, before));
    if !removed.is_empty() || !added.is_empty() {
        changes.insert("blocked".to_owned(), json!({ "before": removed, "after": added }));
    }
}
