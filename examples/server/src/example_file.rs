//! Checks that `deploy/license-server.toml` names every option with its default.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, CommandFactory};

use crate::config_file::{ConfigFile, options};
use crate::configuration::{SECTIONS, write_wrapped};
use crate::flags::Flags;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/license-server.toml");
const REGENERATE: &str = "deploy/license-server.toml is stale. To regenerate it: \
    UPDATE_DOCS=1 cargo test -p license-server --bin license-server example_file";

const HEAD: &str = "\
# Settings of license-server: license-server --config /etc/license-server/license-server.toml
#
# A key is the name of a flag. Flags and environment variables win over this file, which is read at the start only.
# To see each value in force and its source: license-server config
# Every line shows the default, or <…> if there is none. To change an option, remove the # before its key.
";

#[test]
fn example_file_names_every_option() {
    let current = example();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(EXAMPLE, current).expect("the example is writable");
    } else {
        assert_eq!(std::fs::read_to_string(EXAMPLE).unwrap_or_default(), current, "{REGENERATE}");
    }
}

#[test]
fn example_file_without_comments_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let is_default = |line: &&str| line.contains(" = ") && !line.starts_with("# ") && !line.contains("\"<");
    let example = example();
    let lines: Vec<_> = example.lines().filter(is_default).map(|line| line.trim_start_matches('#')).collect();
    assert!(lines.len() > 30, "{lines:?}");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let command = Flags::command();
    let file = ConfigFile::load(Path::new(&path), &command).unwrap();
    let shown = |command: clap::Command| {
        let matches = command.try_get_matches_from(["license-server"]).unwrap();
        let values = |arg: &Arg| {
            matches.get_raw(arg.get_id().as_str()).map(|raw| raw.collect::<Vec<_>>().join(",".as_ref()))
        };
        options(&Flags::command())
            .map(|arg| format!("{} {:?}", arg.get_id(), values(arg)))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(file.apply(command.clone())), shown(command), "every default is the real one");
}

/// Returns the example file, of which every option is a comment.
fn example() -> String {
    let mut text = HEAD.to_owned();
    let command = Flags::command();
    for arg in options(&command) {
        let flag = arg.get_long().unwrap_or_default();
        if let Some((title, _)) = SECTIONS.iter().find(|(_, first)| *first == flag) {
            let _ = write!(text, "\n## {title}\n");
        }
        text.push('\n');
        write_wrapped(
            &mut text,
            "# ",
            &format!("{}.", arg.get_help().map(ToString::to_string).unwrap_or_default()),
        );
        let names: Vec<_> = arg.get_possible_values().iter().map(|one| one.get_name().to_owned()).collect();
        let is_switch = !arg.get_action().takes_values();
        if !names.is_empty() && !is_switch {
            write_wrapped(&mut text, "# ", &format!("One of {}.", names.join(", ")));
        }
        let _ = writeln!(text, "#{flag} = {}", value(arg, is_switch));
    }
    text
}

/// Returns the default as TOML, or the name of the value.
fn value(arg: &Arg, is_switch: bool) -> String {
    if is_switch {
        return "false".to_owned();
    }
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let name = arg.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
    let value = if default.is_empty() { format!("<{name}>") } else { default.join(",") };
    let is_number = value.parse::<i64>().is_ok();
    if is_number { value } else { format!("\"{value}\"") }
}
