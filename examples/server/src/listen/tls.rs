//! TLS with rustls. Certificates are reloaded when their files change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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
    /// Digest of the files when they were last read.
    seen: Mutex<FileDigest>,
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
        let (config, seen) = (RwLock::new(files.config(&contents)?), Mutex::new(Some(digest(&contents))));
        Ok(Self(Arc::new(ReloadableConfig { files, config, seen })))
    }

    /// Reloads the files when they change, for new connections. Files that cannot be used are logged once
    /// and change nothing. Runs until it is dropped.
    pub async fn watch(self) {
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let now = self.0.files.read().ok().as_ref().map(digest);
            if *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner) != now {
                // The error is in the log.
                let _ = self.reload();
            }
        }
    }

    /// Reloads the files at once, for new connections. Files that cannot be used are logged and change
    /// nothing.
    ///
    /// # Errors
    /// Returns [`TlsError`] if the files cannot be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let ReloadableConfig { files, config, seen } = &*self.0;
        let read = files.read();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = read.as_ref().ok().map(digest);
        let new = read.and_then(|contents| files.config(&contents)).inspect_err(|error| {
            tracing::error!(%error, "the new TLS certificate is invalid; the old one stays in use");
        })?;
        *config.write().unwrap_or_else(PoisonError::into_inner) = new;
        tracing::info!("reloaded the TLS certificate");
        Ok(())
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
