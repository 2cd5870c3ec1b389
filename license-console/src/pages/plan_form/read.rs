//! The texts of a form as the fields of a plan.

use license_core::catalog::{Plan, PlanPatch};
use serde_json::{Map, Value, json};

use super::shape::{FIELDS, NO_YES, Shape, UNITS};
use super::texts::{feature_rows, text};
use crate::form::Form;

/// What is wrong with a form: a field in JSON, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pages) struct FieldError {
    pub(in crate::pages) field: String,
    pub(in crate::pages) reason: String,
}

/// Returns the fields of a form as those of a plan in JSON. A missing control is an error, so that no limit
/// is lost by an incomplete form.
pub(in crate::pages) fn json(form: &Form) -> Result<Map<String, Value>, FieldError> {
    let mut fields = Map::new();
    for (name, shape, _) in FIELDS {
        let value =
            value(form, name, shape).map_err(|reason| FieldError { field: (*name).to_owned(), reason })?;
        fields.insert((*name).to_owned(), value);
    }
    Ok(fields)
}

fn value(form: &Form, name: &str, shape: &Shape) -> Result<Value, String> {
    let sent = |name: &str| form.sent(name).ok_or_else(|| format!("the form has no field {name}"));
    let number = |name: &str| whole(sent(name)?);
    Ok(match shape {
        Shape::Number if name == "grace_days" => json!(number(name)?.unwrap_or_default()),
        Shape::Number => json!(number(name)?),
        Shape::Choice(choices) => choice(sent(name)?, choices)?,
        Shape::Period(member, _, choices) => {
            let Some(count) = number(&format!("{name}.count"))? else { return Ok(Value::Null) };
            let unit = choice(sent(&format!("{name}.unit"))?, UNITS)?;
            let more = choice(sent(&format!("{name}.{member}"))?, choices)?;
            Value::Object(Map::from_iter([(text(&unit), json!(count)), ((*member).to_owned(), more)]))
        }
        Shape::Numbers(members) => {
            let mut object = Map::new();
            for (member, _) in *members {
                let count = number(&format!("{name}.{member}"))?.unwrap_or_default();
                object.insert((*member).to_owned(), json!(count));
            }
            Value::Object(object)
        }
        Shape::Names(member, names) => {
            let mut list = Vec::new();
            for (one, _) in *names {
                if choice(sent(&format!("{name}.{one}"))?, NO_YES)? == json!(true) {
                    list.push(json!(one));
                }
            }
            match member {
                Some(_) if list.is_empty() => Value::Null,
                Some(member) => json!({ *member: list }),
                None if choice(sent(&format!("{name}.default"))?, NO_YES)? == json!(true) => {
                    if !list.is_empty() {
                        return Err("the default needs \"no\" for each of them".to_owned());
                    }
                    Value::Null
                }
                None => json!(list),
            }
        }
        Shape::Hosts => {
            let listed: Vec<_> = sent(&format!("{name}.listed"))?.split_whitespace().collect();
            match (choice(sent(&format!("{name}.development"))?, NO_YES)?, listed.is_empty()) {
                (development, true) => development,
                (Value::Bool(true), false) => json!(listed),
                _ => return Err("listed hosts need the development hosts to be exempt too".to_owned()),
            }
        }
        Shape::Features => Value::Object(features(form)?),
    })
}

fn features(form: &Form) -> Result<Map<String, Value>, String> {
    let mut features = Map::new();
    for row in 0..feature_rows(form) {
        let value = form.untrimmed(&format!("features.{row}.value"));
        let typed = value.trim();
        let Some(name) = form.text(&format!("features.{row}.name")) else {
            if typed.is_empty() {
                continue;
            }
            return Err(format!("the value {typed:?} has no name"));
        };
        let value = match form.text(&format!("features.{row}.kind")) {
            Some("on" | "off") if !typed.is_empty() => {
                return Err(format!("{name}: clear the value {typed:?}, or choose number or text"));
            }
            Some("on") => json!(true),
            Some("off") => json!(false),
            Some("number") => {
                let number = typed.parse::<i64>();
                json!(number.map_err(|_| format!("{name}: {typed:?} is no whole number"))?)
            }
            Some("text") => json!(value),
            _ => return Err(format!("{name}: choose on, off, number or text")),
        };
        if features.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(features)
}

/// Parses a whole number; `None` if the text is empty.
fn whole(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("{text:?} is no whole number"))
}

fn choice(text: &str, choices: &[(&str, &str)]) -> Result<Value, String> {
    let names = || choices.iter().map(|(value, _)| *value).collect::<Vec<_>>().join(", ");
    match text {
        "true" | "false" if choices.iter().any(|(value, _)| *value == text) => Ok(json!(text == "true")),
        text if choices.iter().any(|(value, _)| *value == text) => Ok(json!(text)),
        text => Err(format!("{text:?} is none of {}", names())),
    }
}

/// Returns the fields that differ from those of a plan.
pub(in crate::pages) fn patch(form: &Form, plan: &Plan) -> Result<PlanPatch, FieldError> {
    let before = plan.to_json();
    let mut patch = PlanPatch::default();
    for (name, value) in json(form)? {
        if before.get(&name) == Some(&value) {
            continue;
        }
        let value = match (name.as_str(), before.get(&name), value) {
            // A patch keeps the features that it does not name.
            ("features", Some(Value::Object(old)), Value::Object(new)) => {
                // A form has no other newline than LF.
                let same = |old: &Value, new: &Value| {
                    old.as_str().is_some_and(|old| Some(old.replace("\r\n", "\n").as_str()) == new.as_str())
                };
                let gone = old.keys().filter(|feature| !new.contains_key(*feature));
                let gone: Vec<_> = gone.map(|feature| (feature.clone(), Value::Null)).collect();
                let changed =
                    new.into_iter().filter(|(name, new)| !old.get(name).is_some_and(|old| same(old, new)));
                let changed: Map<_, _> = changed.chain(gone).collect();
                if changed.is_empty() {
                    continue;
                }
                Value::Object(changed)
            }
            (_, _, value) => value,
        };
        patch = patch.set(name, value);
    }
    Ok(patch)
}
