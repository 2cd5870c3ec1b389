//! Prints the OpenAPI contract of the HTTP API.
//!
//! Run it: `cargo run -p license-examples --example openapi > docs/openapi.json`
#![expect(clippy::print_stdout, reason = "the program prints the contract")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", license_http::openapi().to_pretty_json()?);
    Ok(())
}
