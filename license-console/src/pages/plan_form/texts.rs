//! A plan as the texts of its form.

use license_core::catalog::Plan;
use serde_json::{Value, json};

use super::shape::{FEATURE_ROWS, FIELDS, Shape, UNITS};
use crate::form::Form;

/// Returns the texts of a plan, as its form sends them.
pub(in crate::pages) fn texts(plan: &Plan) -> Form {
    let json = plan.to_json();
    let mut pairs = Vec::new();
    for (name, shape, _) in FIELDS {
        let value = &json[*name];
        let mut add = |member: &str, text: String| pairs.push((format!("{name}{member}"), text));
        match shape {
            Shape::Number | Shape::Choice(_) => add("", text(value)),
            Shape::Period(member, ..) => {
                for (unit, _) in UNITS {
                    if let Some(count) = value.get(unit) {
                        add(".count", text(count));
                        add(".unit", (*unit).to_owned());
                        add(&format!(".{member}"), text(&value[*member]));
                    }
                }
            }
            Shape::Numbers(members) => {
                for (member, _) in *members {
                    add(&format!(".{member}"), text(&value[*member]));
                }
            }
            Shape::Names(member, names) => {
                let list = member.map_or(value, |member| &value[member]);
                add(".default", value.is_null().to_string());
                for (one, _) in *names {
                    let chosen = list.as_array().is_some_and(|list| list.iter().any(|item| item == one));
                    add(&format!(".{one}"), chosen.to_string());
                }
            }
            Shape::Hosts => {
                add(".development", (value != &json!(false)).to_string());
                let listed =
                    value.as_array().map(|hosts| hosts.iter().map(text).collect::<Vec<_>>().join("\n"));
                add(".listed", listed.unwrap_or_default());
            }
            Shape::Features => {
                for (row, (feature, value)) in value.as_object().into_iter().flatten().enumerate() {
                    let (kind, shown) = match value {
                        Value::Bool(true) => ("on", String::new()),
                        Value::Bool(false) => ("off", String::new()),
                        Value::Number(number) => ("number", number.to_string()),
                        other => ("text", text(other)),
                    };
                    add(&format!(".{row}.name"), feature.clone());
                    add(&format!(".{row}.kind"), kind.to_owned());
                    add(&format!(".{row}.value"), shown);
                }
            }
        }
    }
    Form::of_pairs(pairs)
}

/// Returns a value as the text of a control.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Returns the number of rows up to the last one that is filled.
pub(super) fn feature_rows(form: &Form) -> usize {
    let is_filled = |row: &usize| {
        ["name", "value"].iter().any(|part| form.text(&format!("features.{row}.{part}")).is_some())
    };
    (0..FEATURE_ROWS).rfind(is_filled).map_or(0, |last| last + 1)
}
