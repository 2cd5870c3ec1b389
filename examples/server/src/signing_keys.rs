//! `license-server signing-key`: the keys of tokens that software verifies.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey as PrivateKey;
use license_core::access::{Actor, Principal};
use license_core::error::ServiceError;
use license_core::service::SigningKeyService;
use license_core::signing::{SigningKey, SigningKeyDenial, SigningKeyId, SigningKeyPair, SigningKeySet};
use pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use zeroize::Zeroizing;

use crate::database::Database;
use crate::flags::Flags;
use crate::private_file::create_private;
use crate::services::{print, with_services};

#[derive(Debug, Subcommand)]
pub(crate) enum SigningKeyCommand {
    /// Prints all keys, oldest first, as tab-separated id, state, creation, activation, replacement and end
    /// of the last token
    List,
    /// Makes the next key active, and creates another next key. The key before it is retiring until its last
    /// token has ended
    Rotate {
        /// Rotates although tokens of an earlier key are in use. Software that was offline since the last
        /// rotation may not know the new key
        #[arg(long)]
        force: bool,
    },
    /// Revokes a key whose private key has leaked. No token that it signed is valid from then on
    Revoke {
        /// Id of the key
        #[arg(value_parser = SigningKeyId::parse)]
        id: SigningKeyId,
    },
    /// Prints the public key as a JSON Web Key, or writes the private key to a file
    Export(ExportArgs),
    /// Makes the private key of a file the next key. Rotate to make it active
    Import {
        /// File with an encrypted private key (PKCS #8, PEM), such as one that export has written
        file: PathBuf,

        #[command(flatten)]
        passphrase: Passphrase,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Id of the key; without it, the active key
    #[arg(value_parser = SigningKeyId::parse)]
    id: Option<SigningKeyId>,

    /// File to create, with the private key encrypted by a passphrase (PKCS #8, PEM)
    #[arg(long, value_name = "FILE", requires = "passphrase_file")]
    private: Option<PathBuf>,

    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, Args)]
pub(crate) struct Passphrase {
    /// File with the passphrase of the private key, at least 12 characters; white space around it is ignored
    #[arg(long, value_name = "FILE", env = "LICENSE_SIGNING_KEY_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    const LEAST: usize = 12;

    fn read(&self) -> Result<Zeroizing<String>, String> {
        let file = self.passphrase_file.as_deref().ok_or("--passphrase-file is missing")?;
        let text = read(file)?;
        let passphrase = text.trim();
        if passphrase.chars().count() < Self::LEAST {
            let least = Self::LEAST;
            return Err(format!("{}: the passphrase must have at least {least} characters", file.display()));
        }
        Ok(Zeroizing::new(passphrase.to_owned()))
    }
}

fn read(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Zeroizing::new(text))
}

/// Runs the command on an existing database.
pub(crate) async fn run(command: &SigningKeyCommand, flags: &Flags) -> Result<(), String> {
    let database = Database::parse(&flags.database)?;
    if database.is_new() {
        return Err(format!("{database} does not exist; start the server once, which creates the keys"));
    }
    let output = with_services(flags, &database, false, async |services| {
        let keys = services.signing_keys.by(&Arc::new(Actor::new(Principal::CommandLine)));
        execute(command, &keys).await
    });
    print(&output.await?);
    Ok(())
}

async fn execute(command: &SigningKeyCommand, keys: &SigningKeyService) -> Result<String, String> {
    let text = |error: ServiceError| match error {
        ServiceError::SigningKey(denial @ SigningKeyDenial::StillRetiring { .. }) => {
            format!("{denial} To rotate anyway, use --force.")
        }
        error => error.to_string(),
    };
    let set = match command {
        SigningKeyCommand::List => keys.current(),
        SigningKeyCommand::Rotate { force } => keys.rotate(*force).await.map_err(text)?,
        SigningKeyCommand::Revoke { id } => keys.revoke(id).await.map_err(text)?,
        SigningKeyCommand::Export(args) => return export(args, keys).await,
        SigningKeyCommand::Import { file, passphrase } => {
            let pair = decrypt(file, &passphrase.read()?)?;
            keys.import(&pair).await.map_err(text)?
        }
    };
    Ok(lines(&set))
}

async fn export(args: &ExportArgs, keys: &SigningKeyService) -> Result<String, String> {
    let set = keys.current();
    let key = match &args.id {
        Some(id) => set.get(id).ok_or_else(|| format!("there is no signing key {id}"))?,
        None => set.active().ok_or("there is no active signing key")?,
    };
    if let Some(file) = &args.private {
        let passphrase = args.passphrase.read()?;
        let pair = keys.export(&key.id).await.map_err(|error| error.to_string())?;
        encrypt(&pair, &passphrase, file)?;
    }
    Ok(format!("{}\n", key.public.to_jwk()))
}

fn encrypt(pair: &SigningKeyPair, passphrase: &str, file: &Path) -> Result<(), String> {
    let shown = file.display();
    let private = PrivateKey::from_bytes(&pair.seed());
    let pem = private.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF);
    let pem = pem.map_err(|error| format!("the private key cannot be encrypted: {error}"))?;
    let mut created = create_private(file).map_err(|error| format!("{shown}: {error}"))?;
    let written = created.write_all(pem.as_bytes()).and_then(|()| created.sync_all());
    written.map_err(|error| {
        drop(std::fs::remove_file(file));
        format!("{shown}: {error}")
    })
}

fn decrypt(file: &Path, passphrase: &str) -> Result<SigningKeyPair, String> {
    let private = PrivateKey::from_pkcs8_encrypted_pem(&read(file)?, passphrase);
    let private = private.map_err(|error| {
        let expected = "an Ed25519 private key (ENCRYPTED PRIVATE KEY) with this passphrase";
        format!("{}: it is not {expected}: {error}", file.display())
    })?;
    Ok(SigningKeyPair::from_seed(private.as_bytes()))
}

/// Returns a tab-separated line for each key.
fn lines(set: &SigningKeySet) -> String {
    let shown = |time: &Option<DateTime<Utc>>| {
        time.map_or_else(|| "never".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    };
    let line = |key: &SigningKey| {
        let SigningKey { id, state, created_at, activated_at, replaced_at, signed_until, .. } = key;
        let times = [&Some(*created_at), activated_at, replaced_at, signed_until].map(shown);
        format!("{id}\t{state}\t{}\n", times.join("\t"))
    };
    set.keys().iter().map(line).collect()
}
