//! A secret setting: its text, or a file with the text.

use std::path::PathBuf;

/// Where a secret setting comes from. The file is read when the secret is needed.
#[derive(Clone, Default)]
pub(crate) enum GivenSecret {
    /// The setting is not set.
    #[default]
    Nothing,
    /// The text, and the name of the setting for messages.
    Text { name: String, text: String },
    /// The file that has the text, and the name of the setting that names it.
    File { name: String, path: PathBuf },
}

impl GivenSecret {
    /// Returns the text without white space around it. Errors do not repeat it.
    pub(crate) fn read(&self) -> Result<Option<String>, String> {
        match self {
            Self::Nothing => Ok(None),
            Self::Text { text, .. } => Ok(Some(text.trim().to_owned())),
            Self::File { name, path } => {
                let shown = path.display();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("{name}: {shown} cannot be read: {error}"))?;
                if text.trim().is_empty() {
                    return Err(format!("{name}: {shown} is empty"));
                }
                Ok(Some(text.trim().to_owned()))
            }
        }
    }

    /// Returns whether the setting is not set.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Returns the name of the setting, for messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Nothing => "LICENSE_SECRET",
            Self::Text { name, .. } | Self::File { name, .. } => name,
        }
    }
}

/// Shows no secret.
impl std::fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenSecret").finish_non_exhaustive()
    }
}
