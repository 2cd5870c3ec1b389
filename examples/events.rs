//! Reads events in process: at least once, in order, without HTTP.
//!
//! Run it: `cargo run -p license-examples --example events`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use license_core::clock::SystemRng;
use license_core::{CustomerEmail, LicenseSpec, Secret, ValidateRequest};
use license_store::{Engine, SqliteStore, Subscription};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Your program keeps the database file and the secret that seals its keys.
    let folder = tempfile::tempdir()?;
    let secret = Secret::generate(&mut SystemRng)?;
    let store = SqliteStore::open(folder.path().join("licenses.db")).await?;
    let engine = Engine::builder(Arc::new(store), &secret).start().await?;

    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
    let issued = engine.licenses.issue(&spec, None).await?;
    let request =
        ValidateRequest { key: issued.key.reveal(), domain: Some("example.com"), ..Default::default() };
    engine.validate(&request).await?;
    engine.licenses.suspend(&issued.detail.license.id).await?;

    let mut types = Vec::new();
    let mut events = Subscription::open(engine.services().events, "mail").await?;
    while types.last() != Some(&"license.suspended") {
        let published = events.next().await?;
        let event = &published.event;
        println!("{:>3} {} {}", published.position, event.event_type, event.data["license"]["status"]);
        types.push(event.event_type.as_str());
        // The next subscription with this name continues after this event, also in another process.
        events.acknowledge(published.position).await?;
    }
    assert_eq!(types, ["license.created", "license.activated", "activation.created", "license.suspended"]);

    drop(events);
    engine.licenses.revoke(&issued.detail.license.id).await?;
    let mut events = Subscription::open(engine.services().events, "mail").await?;
    let next = events.next().await?;
    println!("{:>3} {} {}", next.position, next.event.event_type, next.event.data["license"]["key"]);
    assert_eq!(next.event.event_type.as_str(), "license.revoked");
    engine.shutdown().await;
    Ok(())
}
