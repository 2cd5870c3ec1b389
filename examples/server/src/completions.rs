//! `license-server completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::flags::Flags;
use crate::services::write;

/// Name under which shells find the program.
const PROGRAM: &str = "license-server";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell that reads the completions
    shell: Shell,
}

/// Prints the completions.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), String> {
    write(script(args.shell)?.as_bytes())
}

fn script(shell: Shell) -> Result<String, String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), PROGRAM, &mut script);
    let script = String::from_utf8(script).map_err(|error| error.to_string())?;
    // clap_complete 4.6 writes a hyphen of the program's name in two ways, so that bash would complete no
    // subcommand.
    Ok(script.replace("license__subcmd__server", "license__server"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command as Process;

    use clap::{Command, ValueEnum};

    use super::*;

    /// Collects the names of all subcommands and flags, also those of subcommands of subcommands.
    fn names(command: &Command, into: &mut BTreeSet<String>) {
        into.extend(command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned));
        for subcommand in command.get_subcommands() {
            into.insert(subcommand.get_name().to_owned());
            names(subcommand, into);
        }
    }

    #[test]
    fn completions_of_every_shell_have_every_command_and_flag() {
        let mut command = Flags::command();
        command.build();
        let mut all = BTreeSet::new();
        names(&command, &mut all);
        assert!(all.len() > 80, "{all:?}");
        for shell in Shell::value_variants() {
            let text = script(*shell).unwrap();
            let words: BTreeSet<_> =
                text.split(|letter: char| !letter.is_alphanumeric() && letter != '-').collect();
            let has = |name: &&String| {
                words.contains(name.as_str()) || words.contains(format!("--{name}").as_str())
            };
            let missing: Vec<_> = all.iter().filter(|name| !has(name)).collect();
            assert!(missing.is_empty(), "{shell}: {missing:?}");
        }
    }

    /// Returns what bash offers for the last word.
    fn completed(words: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROGRAM);
        std::fs::write(&path, script(Shell::Bash).unwrap()).unwrap();
        let words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        // The function that completes, as bash calls it.
        let call = format!(
            "source '{}'; complete=$(complete -p {PROGRAM}); complete=${{complete##*-F }}; COMP_WORDS=({words}); \
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
            ${{complete%% *}} {PROGRAM} \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Process::new("bash").args(["--noprofile", "--norc", "-c", &call]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_commands_flags_and_values() {
        for (words, expected) in [
            (&[PROGRAM, "signing"][..], &["signing-key"][..]),
            (&[PROGRAM, "secret", "ro"], &["rotate"]),
            (&[PROGRAM, "--rate-per-a"], &["--rate-per-address"]),
            (&[PROGRAM, "backup", "--with"], &["--with-secret"]),
            (&[PROGRAM, "--log-format", "j"], &["json"]),
            (&[PROGRAM, "completions", "z"], &["zsh"]),
        ] {
            assert_eq!(completed(words), expected, "{words:?}");
        }
    }
}
