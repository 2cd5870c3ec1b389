//! The JSON lines of exports and imports.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::activation::ActivationFields;
use self::fields::read;
use self::lease::LeaseFields;
use self::rollup::RollupFields;
use super::error::ImportLineError;
use crate::catalog::Product;
use crate::catalog_command::ImportedPlan;
use crate::key::ImportedKeyFormat;
use crate::license::Lease;
use crate::limits;
use crate::trial::TrialClaim;
use crate::usage::Rollup;

mod activation;
mod catalog;
mod fields;
mod lease;
mod license;
mod object;
mod rollup;
mod texts;
mod trial;

pub(crate) use self::activation::{ActivationLine, activation_line};
pub(crate) use self::catalog::{plan_lines, product_line};
pub(crate) use self::lease::lease_line;
pub use self::license::LicenseLine;
pub(crate) use self::license::license_line;
pub(crate) use self::rollup::rollup_line;
pub(crate) use self::texts::{ClearKey, LineState, Time};
pub(crate) use self::trial::{TrialKeyLine, to_hex, trial_claim_line, trial_key_line};

/// The export format version; only this one is read.
const VERSION: u64 = 1;

/// A parsed line.
#[derive(Debug)]
pub(crate) enum Line {
    /// The first line.
    Export,
    /// A format of imported keys.
    KeyFormat(ImportedKeyFormat),
    License(Box<LicenseLine>),
    Activation(ActivationLine),
    Rollup(Box<Rollup>),
    Product(Product),
    /// A version of a plan.
    Plan(Box<ImportedPlan>),
    /// The key of trial digests of a database.
    TrialKey(TrialKeyLine),
    TrialClaim(TrialClaim),
    Lease(Box<Lease>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportFields {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFormatFields {
    name: String,
    pattern: String,
}

impl Line {
    /// Parses a line. An unknown field is an error, since ignoring it could lose data.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ImportLineError> {
        if line.len() > limits::IMPORT_LINE_BYTES {
            return Err(ImportLineError::too_long());
        }
        let mut fields = object::parse(line).map_err(|error| not_an_object(&error))?;
        let of_type = fields.remove("type").ok_or_else(|| ImportLineError::missing_field("type"))?;
        Ok(match of_type.as_str().unwrap_or_default() {
            "export" => match read(&fields)? {
                ExportFields { version: VERSION } => Self::Export,
                ExportFields { version } => {
                    let why = "this software reads version 1; import with a newer one";
                    return Err(ImportLineError::value("version", &version.into(), why));
                }
            },
            "key_format" => {
                let KeyFormatFields { name, pattern } = read(&fields)?;
                let format = ImportedKeyFormat::new(&name, &pattern);
                Self::KeyFormat(format.map_err(|error| ImportLineError::field("pattern", error))?)
            }
            "license" => Self::License(LicenseLine::read(&fields)?.into()),
            "activation" => Self::Activation(read::<ActivationFields>(&fields)?.try_into()?),
            "rollup" => Self::Rollup(Box::new(read::<RollupFields>(&fields)?.try_into()?)),
            "product" => Self::Product(catalog::read_product(&fields)?),
            "plan" => Self::Plan(Box::new(catalog::read_plan(&fields)?)),
            "trial_key" => Self::TrialKey(read(&fields)?),
            "trial_claim" => Self::TrialClaim(trial::read_claim(&fields)?),
            "lease" => Self::Lease(Box::new(read::<LeaseFields>(&fields)?.try_into()?)),
            _ => {
                let why = "it must be export, key_format, product, plan, license, activation, rollup, trial_key, \
                           trial_claim or lease";
                return Err(ImportLineError::value("type", &of_type, why));
            }
        })
    }
}

/// Returns the error of a line that is no JSON object, without the line number of the parser, which is 1.
fn not_an_object(error: &serde_json::Error) -> ImportLineError {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let why = error.to_string();
    let why = why.strip_suffix(&position).unwrap_or(&why);
    ImportLineError::new(format!("the line is not a valid JSON object: {why} in column {}", error.column()))
}

/// Returns whether an invalid line probably describes a part of the license before it.
pub(crate) fn is_of_part(line: &[u8]) -> bool {
    const TYPES: [&str; 2] = ["activation", "lease"];
    match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(fields) => TYPES.iter().any(|of_type| fields.get("type") == Some(&(*of_type).into())),
        Err(_) => TYPES.iter().any(|of_type| {
            let of_type = format!("\"{of_type}\"");
            line.windows(of_type.len()).any(|part| part == of_type.as_bytes())
        }),
    }
}

/// Returns the first line of an export.
pub(crate) fn export_line() -> String {
    written("export", &ExportFields { version: VERSION })
}

pub(crate) fn key_format_line(format: &ImportedKeyFormat) -> String {
    let (name, pattern) = (format.name().to_owned(), format.pattern().to_owned());
    written("key_format", &KeyFormatFields { name, pattern })
}

/// Writes a line, its type first.
fn written(of_type: &str, fields: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Typed<'a, F> {
        r#type: &'a str,
        #[serde(flatten)]
        fields: &'a F,
    }
    // Serialising these types to JSON cannot fail.
    serde_json::to_string(&Typed { r#type: of_type, fields }).unwrap_or_default()
}
