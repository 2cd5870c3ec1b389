//! What happens, told to the program that embeds the engine: at least once, in order, without HTTP.
//!
//! Run it: `cargo run -p license-examples --example events`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use license_core::clock::{SystemClock, SystemRng};
use license_core::command::LicenseSpec;
use license_core::customer::CustomerEmail;
use license_core::key::Secret;
use license_core::service::{LicenseService, ValidateRequest};
use license_store::sql::sqlite::SqliteStore;
use license_store::subscription::Subscription;
use license_store::sweeper::{Sweeper, SweeperOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A program of yours keeps both: the file, and the secret that seals its keys.
    let folder = tempfile::tempdir()?;
    let secret = Secret::generate(&mut SystemRng)?;
    let store = Arc::new(SqliteStore::open(folder.path().join("licenses.db")).await?);

    // The store is the outbox as well. In front of it there may be a cache; the outbox is the store itself.
    let builder = LicenseService::builder(Arc::clone(&store) as _, &secret, SystemClock, SystemRng);
    let licenses = Arc::new(builder.outbox(store).build().await?);
    // Tells of terms that end, which nobody asks for.
    let _sweeper = Sweeper::spawn(Arc::clone(&licenses), SweeperOptions::default());

    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
    let issued = licenses.issue(&spec, None).await?;
    let request =
        ValidateRequest { key: issued.key.reveal(), domain: Some("example.com"), ..Default::default() };
    licenses.validate(&request).await?;
    licenses.suspend(&issued.detail.license.id).await?;

    let mut told = Vec::new();
    let mut events = Subscription::open(Arc::clone(&licenses), "mail").await?;
    while told.last() != Some(&"license.suspended") {
        let published = events.next().await?;
        let event = &published.event;
        println!("{:>3} {} {}", published.position, event.event_type, event.data["license"]["status"]);
        told.push(event.event_type.as_str());
        // Done with: whoever opens the name again goes on behind it, in another process as well.
        events.acknowledge(published.position).await?;
    }
    assert_eq!(told, ["license.created", "license.activated", "activation.created", "license.suspended"]);

    drop(events);
    licenses.revoke(&issued.detail.license.id).await?;
    let mut events = Subscription::open(licenses, "mail").await?;
    let next = events.next().await?;
    println!("{:>3} {} {}", next.position, next.event.event_type, next.event.data["license"]["key"]);
    assert_eq!(next.event.event_type.as_str(), "license.revoked");
    Ok(())
}
