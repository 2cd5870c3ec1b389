//! TLS by rustls, with certificates that may be renewed while it serves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// How often the files are looked at.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// A certificate and its key, from PEM files. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
    /// What was in them when they were loaded.
    loaded: Seen,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What the files held: the certificate's, the key's.
type Contents = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// The digest of what the files held; `None`: they could not be read.
type Seen = Option<[u8; 32]>;

/// Why a certificate or its key can't be used.
#[derive(Debug)]
pub struct TlsError(String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// Reads the certificate (with the chain behind it) and the key.
    ///
    /// # Errors
    /// When one can't be read, is none, or they do not belong together.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.into(), key: key.into() };
        let contents = files.read()?;
        let (config, loaded) = (RwLock::new(files.config(&contents)?), Some(digest(&contents)));
        Ok(Self(Arc::new(Shared { files, config, loaded })))
    }

    /// Looks at the files all the time, and takes what is new in them for new connections. Files that can't be used change
    /// nothing and are logged, once for as long as they stay as they are. Runs until it is dropped.
    pub async fn watch(self) {
        let mut seen = self.0.loaded;
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            self.look(&mut seen);
        }
    }

    fn look(&self, seen: &mut Seen) {
        let read = self.0.files.read();
        let now = read.as_ref().ok().map(digest);
        if std::mem::replace(seen, now) == now {
            return;
        }
        match read
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|contents| self.0.files.config(contents).map_err(|error| error.to_string()))
        {
            Ok(config) => {
                *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the TLS certificate was renewed");
            }
            Err(error) => tracing::error!(error, "the new TLS certificate can't be used; the old one stays"),
        }
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn digest((certificate, key): &Contents) -> [u8; 32] {
    let length = (certificate.len() as u64).to_le_bytes();
    Sha256::new().chain_update(length).chain_update(certificate).chain_update(key).finalize().into()
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map(Zeroizing::new)
                .map_err(|error| TlsError(format!("{}: {error}", path.display())))
        };
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    fn config(&self, (certificate, key): &Contents) -> Result<Arc<ServerConfig>, TlsError> {
        let at = |path: &Path, what: &str| TlsError(format!("{}: {what}", path.display()));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| at(&self.certificate, "no certificate in PEM"))?;
        if chain.is_empty() {
            return Err(at(&self.certificate, "no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| at(&self.key, "no private key in PEM"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| at(&self.certificate, &format!("not usable with its key: {error}")))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
