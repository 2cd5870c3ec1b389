//! `license-server man [FOLDER]`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::flags::Flags;
use crate::services::write;

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for one page of each command; it must exist. Without it, the page of the server is printed
    folder: Option<PathBuf>,
}

/// Prints the page of the server, or writes all pages.
pub(crate) fn run(args: &ManArgs) -> Result<(), String> {
    if let Some(folder) = &args.folder {
        return clap_mangen::generate_to(command(), folder)
            .map_err(|error| format!("cannot write into {}: {error}", folder.display()));
    }
    let mut page = Vec::new();
    Man::new(command()).render(&mut page).map_err(|error| error.to_string())?;
    write(&page)
}

/// The help of `help` needs no page.
fn command() -> Command {
    Flags::command().disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Checks the page of a command and the pages of its subcommands. Returns their number.
    fn check(command: &Command, name: &str, folder: &Path) -> usize {
        let path = folder.join(format!("{name}.1"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let page = page.replace("\\-", "-");
        for argument in command.get_arguments() {
            if let Some(flag) = argument.get_long() {
                assert!(page.contains(&format!("--{flag}\\fR")), "{name} has no --{flag}");
            }
            if let Some(variable) = argument.get_env() {
                assert!(page.contains(&*variable.to_string_lossy()), "{name} has no {}", variable.display());
            }
        }
        let subcommands = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
        let subcommands = subcommands.map(|subcommand| {
            let name = format!("{name}-{}", subcommand.get_name());
            assert!(page.contains(&format!("{name}(1)")), "the page names no {name}");
            check(subcommand, &name, folder)
        });
        1 + subcommands.sum::<usize>()
    }

    #[test]
    fn each_command_has_a_page_with_all_its_flags() {
        let folder = tempfile::tempdir().unwrap();
        run(&ManArgs { folder: Some(folder.path().to_owned()) }).unwrap();
        let mut command = Flags::command();
        command.build();
        let pages = check(&command, "license-server", folder.path());
        assert!(pages > 20, "{pages}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), pages);
    }

    #[test]
    fn missing_folder_is_named() {
        let args = ManArgs { folder: Some("no-such-folder".into()) };
        assert!(run(&args).unwrap_err().starts_with("cannot write into no-such-folder: "));
    }
}
