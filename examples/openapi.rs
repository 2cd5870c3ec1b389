//! The contract of the HTTP API, as `docs/openapi.json` has it:
//! `cargo run -p license-examples --example openapi > docs/openapi.json`
#![expect(clippy::print_stdout, reason = "a program that prints")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", license_http::openapi().to_pretty_json()?);
    Ok(())
}
