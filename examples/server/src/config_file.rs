//! The configuration file of `--config`: TOML, one key for each flag.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};

/// Flag that names the file.
pub(crate) const CONFIG: &str = "config";

/// A configuration file whose keys and values were checked.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    values: BTreeMap<String, Vec<String>>,
}

impl ConfigFile {
    /// Reads the file. Errors name the file and the key, and do not repeat values that may be secret.
    pub(crate) fn load(path: &Path, command: &Command) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("--config {shown}: {error}"))?;
        Self::parse(path, &text, command).map_err(|error| format!("{shown}: {error}"))
    }

    fn parse(path: &Path, text: &str, command: &Command) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error| syntax_error(text, &error))?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let arg = options(command).find(|arg| arg.get_long() == Some(&key));
            let arg = arg.ok_or_else(|| unknown_key(&key, command))?;
            let texts = texts(&value).ok_or_else(|| {
                format!("{key} must be a string, a number, true or false, or a list of strings")
            })?;
            if texts.iter().all(|text| text.trim().is_empty()) {
                continue;
            }
            texts.iter().try_for_each(|text| check(&key, arg, text))?;
            values.insert(key, texts);
        }
        Ok(Self { path: path.to_owned(), values })
    }

    /// Returns whether the file sets the flag.
    pub(crate) fn sets(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    /// Makes the values of the file the defaults of the flags.
    pub(crate) fn apply(&self, command: Command) -> Command {
        command.mut_args(|arg| match arg.get_long().and_then(|flag| self.values.get(flag)) {
            Some(values) => arg.default_values(values.iter().cloned()),
            None => arg,
        })
    }
}

/// Returns the flags that the file can set. One without a variable is for a single start.
pub(crate) fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_option = |arg: &&Arg| arg.get_env().is_some() && arg.get_long() != Some(CONFIG);
    command.get_arguments().filter(is_option)
}

/// Returns the texts that the flag would have on the command line.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(switch) => Some(vec![switch.to_string()]),
        toml::Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Checks that the flag takes the value.
fn check(key: &str, arg: &Arg, text: &str) -> Result<(), String> {
    let alone = arg.clone().action(ArgAction::Set).num_args(1).env(None::<&str>).global(false);
    let parsed =
        Command::new("").no_binary_name(true).arg(alone).try_get_matches_from([format!("--{key}={text}")]);
    let Err(error) = parsed else { return Ok(()) };
    if arg.is_hide_env_values_set() {
        return Err(format!("the value of {key} is invalid"));
    }
    let error = error.to_string();
    let lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with("For more information")).collect();
    Err(lines.join(" ").trim_start_matches("error: ").to_owned())
}

fn unknown_key(key: &str, command: &Command) -> String {
    if command.get_arguments().any(|arg| arg.get_long() == Some(key)) {
        return format!("{key} cannot be set in a configuration file; use the flag --{key}");
    }
    let suggestion = nearest(key, command).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    format!("unknown key {key}{suggestion}")
}

/// Returns the flag that the key probably means.
fn nearest<'a>(key: &str, command: &'a Command) -> Option<&'a str> {
    let name = key.to_lowercase().replace('_', "-");
    let name = name.trim_start_matches('-').trim_start_matches("license-");
    let near = options(command).filter_map(Arg::get_long).filter_map(|known| {
        let wrong = strsim::osa_distance(name, known);
        let is_part = known.split('-').any(|part| part == name);
        (wrong <= name.chars().count().max(known.len()).div_ceil(3) || is_part).then_some((wrong, known))
    });
    near.min_by_key(|(wrong, _)| *wrong).map(|(_, known)| known)
}

/// Describes a syntax error without the line of the file, which may contain a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    format!("{}{}", line.unwrap_or_default(), error.message())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::flags::Flags;

    fn error(text: &str) -> String {
        ConfigFile::parse(Path::new("server.toml"), text, &Flags::command()).unwrap_err()
    }

    #[test]
    fn unknown_key_is_refused_with_the_nearest_name() {
        for (key, meant) in [
            ("cache_ttl", "cache-ttl"),
            ("LICENSE_CACHE_TTL", "cache-ttl"),
            ("cache-tll", "cache-ttl"),
            ("secret", "secret-file"),
            ("trusted-proxies", "trusted-proxy"),
        ] {
            let expected = format!("unknown key {key}; did you mean {meant}?");
            assert_eq!(error(&format!("{key} = \"1s\"")), expected);
        }
        assert_eq!(error("colour = 1"), "unknown key colour");
        for key in ["create", "config"] {
            let expected = format!("{key} cannot be set in a configuration file; use the flag --{key}");
            assert_eq!(error(&format!("{key} = true")), expected);
        }
    }

    #[test]
    fn wrong_value_names_its_key() {
        let ttl =
            "invalid value '5' for '--cache-ttl <DURATION>': must be a duration from 1s to 24h with a unit";
        for (text, expected) in [
            ("cache-ttl = 5", ttl),
            ("cache-ttl = \"5\"", ttl),
            ("log-level = \"loud\"", "invalid value 'loud' for '--log-level <LOG_LEVEL>'"),
            ("rate-limit = \"maybe\"", "invalid value 'maybe' for '--rate-limit <on|off>'"),
            (
                "trusted-proxy = [\"10.0.0.0/8\", \"proxy\"]",
                "invalid value 'proxy' for '--trusted-proxy <CIDR>'",
            ),
            (
                "trusted-proxy = [1]",
                "trusted-proxy must be a string, a number, true or false, or a list of strings",
            ),
            ("[database]\nurl = \"memory:\"", "database must be a string"),
        ] {
            assert!(error(text).starts_with(expected), "{text}: {}", error(text));
        }
    }

    #[test]
    fn syntax_error_names_its_line_and_shows_no_secret() {
        let error = error("listen = \"127.0.0.1:1\"\nadmin-token = \"hunter2");
        assert!(error.starts_with("line 2: ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn blank_value_counts_as_not_set() {
        let text = "issuer = \" \"\ntls-cert = \"\"\ntrusted-proxy = []\nlisten = \"[::1]:1\"";
        let file = ConfigFile::parse(Path::new("server.toml"), text, &Flags::command()).unwrap();
        assert_eq!(file.values.keys().collect::<Vec<_>>(), ["listen"]);
    }
}
