//! `license-server config`: the value of each setting, and its source.

use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::config_file::{self, ConfigFile};
use crate::environment::variable;
use crate::given_secret::GivenSecret;
use crate::services::print;

/// Source of a value, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Default,
    File,
    Environment,
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// One setting.
#[derive(Clone)]
struct Setting {
    flag: String,
    variable: String,
    value: Option<String>,
    source: Source,
    is_secret: bool,
}

/// All settings of the server, in the order of the flags.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    file: Option<PathBuf>,
    all: Vec<Setting>,
}

impl Settings {
    pub(crate) fn new(
        command: &Command,
        matches: &ArgMatches,
        file: Option<&ConfigFile>,
    ) -> Result<Self, String> {
        let of = |arg: &clap::Arg| {
            let id = arg.get_id().as_str();
            let flag = arg.get_long().unwrap_or(id).to_owned();
            let source = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Source::Flag,
                Some(ValueSource::EnvVariable) => Source::Environment,
                _ if file.is_some_and(|file| file.sets(&flag)) => Source::File,
                _ => Source::Default,
            };
            let value = match matches.try_get_one::<bool>(id) {
                Ok(Some(switch)) => Some(switch.to_string()),
                _ => matches
                    .get_raw(id)
                    .map(|values| values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",")),
            };
            let variable = arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
            Setting { flag, variable, value, source, is_secret: arg.is_hide_env_values_set() }
        };
        let mut all: Vec<_> = config_file::options(command).map(of).collect();
        // The secret has no flag and no key, because others may see the command line and the file.
        all.push(Setting {
            flag: "secret".to_owned(),
            variable: "LICENSE_SECRET".to_owned(),
            value: variable("LICENSE_SECRET")?,
            source: Source::Environment,
            is_secret: true,
        });
        Ok(Self { file: file.map(|file| file.path.clone()), all })
    }

    /// Returns the secret setting `flag`, or the file of `flag` + `-file` if that has the stronger source.
    /// The weaker one is removed from the settings.
    pub(crate) fn secret(&mut self, flag: &str) -> Result<GivenSecret, String> {
        let file_flag = format!("{flag}-file");
        let [text, file] = [flag, &file_flag]
            .map(|name| self.all.iter().position(|one| one.flag == name && one.value.is_some()));
        let source = |at: usize| self.all[at].source;
        match (text, file) {
            (Some(text), Some(file)) if source(text) == source(file) => {
                Err(format!("{} and {} are both set; set one of them", self.name(text), self.name(file)))
            }
            (Some(text), Some(file)) if source(text) > source(file) => {
                self.all[file].value = None;
                self.all[file].source = Source::Default;
                Ok(self.text(text))
            }
            (text, Some(file)) => {
                let path = PathBuf::from(self.all[file].value.clone().unwrap_or_default());
                if let Some(text) = text {
                    self.all[text].source = self.all[file].source;
                    self.all[text].value = Some(String::new());
                }
                Ok(GivenSecret::File { name: self.name(file), path })
            }
            (Some(text), None) => Ok(self.text(text)),
            (None, None) => Ok(GivenSecret::Nothing),
        }
    }

    fn text(&self, at: usize) -> GivenSecret {
        let text = self.all[at].value.clone().unwrap_or_default();
        GivenSecret::Text { name: self.name(at), text }
    }

    /// Returns the name of a setting where its source writes it.
    fn name(&self, at: usize) -> String {
        let Setting { flag, variable, source, .. } = &self.all[at];
        match (source, &self.file) {
            (Source::Environment, _) => variable.clone(),
            (Source::File, Some(file)) => format!("{flag} of {}", file.display()),
            _ => format!("--{flag}"),
        }
    }

    /// Prints name, value and source of each setting, separated by tabs. Secrets are hidden; of the database,
    /// `database` is shown.
    pub(crate) fn print(&self, database: &str) {
        for Setting { flag, value, source, is_secret, .. } in &self.all {
            let value = match value {
                None => "(not set)",
                Some(_) if flag == "database" => database,
                Some(_) if *is_secret => "(hidden)",
                Some(value) => value,
            };
            let source = if value == "(not set)" { Source::Default } else { *source };
            match (&self.file, source) {
                (Some(file), Source::File) => print(&format!("{flag}\t{value}\tfile {}\n", file.display())),
                _ => print(&format!("{flag}\t{value}\t{source}\n")),
            }
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("file", &self.file).finish_non_exhaustive()
    }
}
