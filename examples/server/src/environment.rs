//! Flags from the command line and from environment variables.

use std::env::{self, VarError};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use crate::config_file::{CONFIG, ConfigFile};
use crate::flags::Flags;
use crate::given_secret::GivenSecret;
use crate::settings::Settings;

/// Parses the flags, with the values of the environment and of the configuration file. A variable that is
/// empty or blank counts as not set.
pub(crate) fn parse_flags() -> Result<Flags, String> {
    let defined = Flags::command();
    let command = without_blank_variables(defined.clone());
    let matches = parse(command.clone());
    let file = matches.get_one::<PathBuf>(CONFIG).map(|path| ConfigFile::load(path, &defined)).transpose()?;
    let matches = match &file {
        Some(file) => parse(file.apply(command)),
        None => matches,
    };
    let mut flags = Flags::from_arg_matches(&matches).unwrap_or_else(|error| exit_without_urls(&error));
    let mut settings = Settings::new(&defined, &matches, file.as_ref())?;
    flags.admin_token = settings.secret("admin-token")?;
    let database = &mut flags.database;
    database.secret = settings.secret("secret")?;
    if let url @ GivenSecret::File { .. } = settings.secret("database")? {
        database.database = url.read()?.unwrap_or_default();
    }
    database.database_listen = settings.secret("database-listen")?.read()?;
    database.read_replica = settings.secret("read-replica")?.read()?;
    flags.settings = settings;
    Ok(flags)
}

fn parse(command: Command) -> ArgMatches {
    command.try_get_matches().unwrap_or_else(|error| exit_without_urls(&with_hint(error)))
}

fn without_blank_variables(command: Command) -> Command {
    let is_blank = |arg: &Arg| {
        arg.get_env()
            .is_some_and(|name| env::var_os(name).is_some_and(|value| is_blank(&value.to_string_lossy())))
    };
    command
        .mut_args(|arg| if is_blank(&arg) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_blank_variables)
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Adds the right flag to the error of a flag that other servers have.
fn with_hint(mut error: Error) -> Error {
    let invalid = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::UnknownArgument && ["-p", "--port"].contains(&invalid.as_str()) {
        let hint = "to set the port, use '--listen 127.0.0.1:PORT'";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    error
}

/// Prints an error of the flags and exits. An argument with a URL may contain a password, and is not
/// repeated.
fn exit_without_urls(error: &Error) -> ! {
    let urls: Vec<_> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .filter(|argument| argument.contains("://"))
        .collect();
    if urls.is_empty() {
        error.exit();
    }
    let mut text = error.to_string();
    for url in urls {
        text = text.replace(&url, "…");
        // A flag of the form --name=URL is shown in parts.
        if let Some((_, value)) = url.split_once('=') {
            text = text.replace(value, "…");
        }
    }
    #[expect(clippy::print_stderr, reason = "the error of the flags")]
    {
        eprint!("{text}");
    }
    std::process::exit(error.exit_code())
}

/// Parses a switch, the one syntax of all flags and variables that are on or off.
pub(crate) fn switch(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err("must be on, off, true, false, 1 or 0"),
    }
}

/// Returns the value of a variable. One that is empty or blank counts as not set.
pub(crate) fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) if is_blank(&value) => Ok(None),
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} must be UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    #[test]
    fn switch_has_one_syntax() {
        for (text, value) in [
            ("true", Ok(true)),
            ("on", Ok(true)),
            ("1", Ok(true)),
            (" ON ", Ok(true)),
            ("False", Ok(false)),
            ("off", Ok(false)),
            ("0", Ok(false)),
        ] {
            assert_eq!(switch(text), value, "{text}");
        }
        for text in ["", "yes", "2", "disabled"] {
            assert_eq!(switch(text), Err("must be on, off, true, false, 1 or 0"), "{text}");
        }
    }

    /// clap has another syntax, which an argument has unless it names its parser.
    #[test]
    fn every_switch_with_a_variable_has_this_syntax() {
        let flags = Flags::command();
        let is_switch = |arg: &&Arg| {
            arg.get_env().is_some() && arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
        };
        let switches: Vec<_> = flags.get_arguments().filter(is_switch).collect();
        assert!(switches.len() >= 4, "{switches:?}");
        for switch in switches {
            let name = switch.get_long().unwrap();
            // A flag without a value has its parser for the variable.
            let with_value = switch.clone().action(ArgAction::Set).num_args(1).env(None::<&str>);
            let command = Command::new("").arg(with_value);
            for text in ["on", "OFF", "1", "true"] {
                let parsed = command.clone().try_get_matches_from(["", &format!("--{name}={text}")]);
                assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn port_flag_names_the_right_one() {
        for args in [["license-server", "-p", "80"], ["license-server", "--port", "80"]] {
            let error = Flags::command().try_get_matches_from(args).map_err(with_hint).unwrap_err();
            assert!(error.to_string().contains("--listen 127.0.0.1:PORT"), "{error}");
        }
    }
}
