//! Verification of databases.

#![cfg(any(feature = "sqlite", feature = "postgres"))]

#[path = "verify/faults.rs"]
mod faults;
#[path = "verify/filled.rs"]
mod filled;
#[path = "verify/seeded.rs"]
mod seeded;
#[path = "verify/sound.rs"]
mod sound;
