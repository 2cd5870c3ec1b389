//! Checks that `docs/configuration.md` has all flags.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use crate::flags::Flags;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const REGENERATE: &str = "docs/configuration.md is stale. To regenerate it: \
    UPDATE_DOCS=1 cargo test -p license-server --bin license-server configuration";

/// The generated part of the document is between these lines.
const BEGIN: &str = "<!-- The flags are generated: begin -->\n";
const END: &str = "<!-- The flags are generated: end -->\n";

/// Sections of the server's flags, with the first flag of each.
pub(crate) const SECTIONS: [(&str, &str); 11] = [
    ("Configuration file", "config"),
    ("Address", "listen"),
    ("Database", "database"),
    ("Validations", "recording"),
    ("Proxies and countries", "trusted-proxy"),
    ("Rates, connections and timeouts", "rate-limit"),
    ("Browsers and TLS", "cors-origin"),
    ("Retention", "audit-retention"),
    ("Webhooks", "webhook-allow"),
    ("Console", "console"),
    ("Plans, keys and log", "admin-token"),
];

const WIDTH: usize = 110;

#[test]
fn configuration_document_is_current() {
    let text = std::fs::read_to_string(DOCUMENT).expect("the document is readable");
    let (before, rest) = text.split_once(BEGIN).expect("the document marks the generated part");
    let (generated, after) = rest.split_once(END).expect("the document marks the generated part");
    let current = flags();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let updated = format!("{before}{BEGIN}{current}{END}{after}");
        std::fs::write(DOCUMENT, updated).expect("the document is writable");
    } else {
        assert_eq!(generated, current, "{REGENERATE}");
    }
}

/// Returns the flags of the server and of its subcommands as Markdown.
fn flags() -> String {
    let mut command = Flags::command();
    command.build();
    let mut text = String::new();
    for argument in shown(&command) {
        let flag = argument.get_long().expect("the server has no positional arguments");
        if let Some((title, _)) = SECTIONS.iter().find(|(_, first)| *first == flag) {
            write_line(&mut text, &format!("\n### {title}\n"));
        }
        write_argument(&mut text, argument);
    }
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        write_command(&mut text, &format!("license-server {}", subcommand.get_name()), subcommand);
    }
    write_line(&mut text, "");
    text
}

fn write_command(text: &mut String, name: &str, command: &Command) {
    let mut subcommands = command.get_subcommands().filter(|command| command.get_name() != "help").peekable();
    if subcommands.peek().is_none() || !command.is_subcommand_required_set() {
        write_own(text, name, command);
    }
    subcommands.for_each(|subcommand| {
        write_command(text, &format!("{name} {}", subcommand.get_name()), subcommand);
    });
}

/// Writes a command without its subcommands.
fn write_own(text: &mut String, name: &str, command: &Command) {
    write_line(text, &format!("\n### `{name}`\n"));
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    write_wrapped(text, "", &format!("{about}."));
    let mut arguments = shown(command).filter(|argument| !argument.is_global_set()).peekable();
    if arguments.peek().is_some() {
        write_line(text, "");
    }
    arguments.for_each(|argument| write_argument(text, argument));
}

/// Returns all arguments except `--help` and `--version`.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
}

/// Writes the flag, its environment variable and its default, then its help.
fn write_argument(text: &mut String, argument: &Arg) {
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().filter(|_| takes_value);
    let mut head = match (argument.get_long(), value) {
        (Some(flag), Some(value)) => format!("- `--{flag} <{value}>`"),
        (Some(flag), None) => format!("- `--{flag}`"),
        (None, _) => format!("- `<{}>`", argument.get_id().as_str().to_uppercase()),
    };
    if let Some(variable) = argument.get_env() {
        let _ = write!(head, ", `{}`", variable.to_string_lossy());
    }
    let defaults = argument.get_default_values();
    if takes_value && let Some(default) = defaults.first() {
        let _ = write!(head, ", default `{}`", default.to_string_lossy());
    }
    write_line(text, &format!("{head}\\"));
    let mut help = format!("{}.", argument.get_help().map(ToString::to_string).unwrap_or_default());
    let names: Vec<_> =
        argument.get_possible_values().iter().map(|one| format!("`{}`", one.get_name())).collect();
    if takes_value && !names.is_empty() {
        let _ = write!(help, " One of {}.", names.join(", "));
    }
    write_wrapped(text, "  ", &help);
}

pub(crate) fn write_wrapped(text: &mut String, indent: &str, paragraph: &str) {
    let mut line = indent.to_owned();
    for word in paragraph.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > indent.len() {
            write_line(text, &line);
            line.replace_range(indent.len().., "");
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    write_line(text, &line);
}

fn write_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
