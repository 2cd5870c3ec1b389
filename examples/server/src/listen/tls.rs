//! TLS with rustls. Certificates are reloaded when their files change.

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

/// Interval at which the files are read.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Certificate chain and private key, from PEM files. Clones share them.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ReloadableConfig>);

#[derive(Debug)]
struct ReloadableConfig {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
    /// Digest of the files when they were loaded.
    loaded: FileDigest,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Contents of the certificate's file and of the key's file.
type Contents = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// Digest of both files; `None` if one could not be read.
type FileDigest = Option<[u8; 32]>;

/// Error returned if a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl Tls {
    /// Loads the certificate chain and the key.
    ///
    /// # Errors
    /// Returns [`TlsError`] if a file cannot be read, holds no PEM, or the key does not belong to the
    /// certificate.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.into(), key: key.into() };
        let contents = files.read()?;
        let (config, loaded) = (RwLock::new(files.config(&contents)?), Some(digest(&contents)));
        Ok(Self(Arc::new(ReloadableConfig { files, config, loaded })))
    }

    /// Reloads the files when they change, for new connections. Files that cannot be used are logged once
    /// and change nothing. Runs until it is dropped.
    pub async fn watch(self) {
        let mut seen = self.0.loaded;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            self.reload(&mut seen);
        }
    }

    fn reload(&self, seen: &mut FileDigest) {
        let read = self.0.files.read();
        let now = read.as_ref().ok().map(digest);
        if std::mem::replace(seen, now) == now {
            return;
        }
        match read.and_then(|contents| self.0.files.config(&contents)) {
            Ok(config) => {
                *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("reloaded the TLS certificate");
            }
            Err(error) => {
                tracing::error!(%error, "the new TLS certificate is invalid; the old one stays in use");
            }
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
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
