//! Verification of databases.

#[path = "verify/faults.rs"]
mod faults;
#[path = "verify/sound.rs"]
mod sound;
