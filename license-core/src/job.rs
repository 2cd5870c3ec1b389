//! Background jobs, and what they did last.

mod log;

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;

pub use log::{JobFailure, JobLog, JobReport, JobState};

/// Resolves when the engine shuts down.
pub type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A background task that runs until the engine shuts down.
///
/// The `Engine` of license-store runs its own jobs and those that it is given: `engine.spawn(job)`.
#[async_trait]
pub trait BackgroundJob: fmt::Debug + Send + 'static {
    /// Name for logs.
    fn name(&self) -> &'static str;

    /// Runs until `shutdown` resolves, and returns after finishing what it has begun. `report` takes the
    /// result of each run, for people who look after the server.
    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport);
}
